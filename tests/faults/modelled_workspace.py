"""A workspace beside a plain model of it, and all that can happen to it."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from continual_dml.errors import CatalogError, CorruptIndex, UnknownChoice
from continual_dml.ports import SilentListener
from storage import failpoints
from storage.failpoints import STEPS
from storage.pgvector.tables import table_of
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.verification import verify
from storage.workspace import Workspace
from tests.faults.scenarios import tiny_contents
from tests.faults.traffic import hashes_of
from tests.storage.tiny_tasks import SMALL, add_images, delete_images, on_circle, publish_task
from tests.storage.vector_tables import vector_tables

COMMITTED = {"committed", "collecting", "collected"}
MOST_TASKS = 8


class Crash(BaseException):
    """Ends an operation where it is; nobody expects it, so nobody cleans up."""


class ModelledWorkspace(RuleBasedStateMachine):
    """A workspace beside a model of it: what each generation learned and lost, which one is live, tags."""

    def __init__(self, database_url, index):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="cdml-machine-"))
        self.url, self.index = database_url, index
        self.learned = 0
        self.tasks = {None: ()}
        self.added = {None: ()}
        self.deleted = {None: frozenset()}
        self.lineage = {None: ()}
        self.refused = set()
        self.head = None
        self.tags = {}

    @initialize(keep=st.integers(1, 3))
    def make(self, keep):
        folder = self.folder / "workspace"
        self.workspace = Workspace.create(folder, SMALL, self.url, keep_generations=keep, index=self.index)

    def teardown(self):
        if self.index == "pgvector" and hasattr(self, "workspace"):
            with self.store():
                found = vector_tables(self.workspace)
            assert found == sorted(map(table_of, self.on_disk())), (
                "tables of vectors without their generation"
            )
        shutil.rmtree(self.folder)

    def store(self, keep=None):
        return WorkspaceStore(self.workspace, keep)

    def on_disk(self):
        return sorted(int(path.name) for path in self.workspace.generations_dir.iterdir())

    def name(self):
        self.learned += 1
        return f"task{self.learned}"

    def was_built(self, generation, names=(), deleted=(), added=()):
        self.tasks[generation] = (*self.tasks[self.head], *names)
        self.added[generation] = (*self.added[self.head], *added)
        self.deleted[generation] = self.deleted[self.head].union(deleted)
        self.lineage[generation] = (*self.lineage[self.head], generation)

    def went_live(self, generation, names=(), deleted=(), added=()):
        self.was_built(generation, names, deleted, added)
        self.head = generation

    def waits(self, generation):
        """Whether it was refused and, as far as can be told, never was live."""
        return generation in self.refused and generation not in self.lineage[self.head]

    @precondition(lambda self: len(self.tasks[self.head]) < MOST_TASKS)
    @rule()
    def ingest(self):
        name = self.name()
        with self.store() as store:
            self.went_live(publish_task(store, name, self.folder).generation_id, [name])

    @precondition(lambda self: len(self.tasks[self.head]) < MOST_TASKS)
    @rule(step=st.sampled_from(STEPS))
    def crash_while_ingesting(self, step):
        name = self.name()
        generation = self.crashed(step, lambda store: publish_task(store, name, self.folder))
        if step in COMMITTED:
            self.went_live(generation, [name])

    @precondition(lambda self: len(self.tasks[self.head]) < MOST_TASKS)
    @rule(step=st.sampled_from([None, *STEPS]))
    def refuse(self, step):
        name = self.name()

        def act(store):
            return publish_task(store, name, self.folder, refusal="not good enough")

        if step is None:
            with self.store() as store:
                generation = act(store).generation_id
        else:
            generation = self.crashed(step, act)
        if step is None or step in COMMITTED:
            self.was_built(generation, [name])
            self.refused.add(generation)
            with self.store():
                assert generation in self.on_disk()

    @rule()
    def promote(self):
        with self.store() as store:
            waiting = [number for number in self.on_disk() if self.waits(number)]
            if not waiting:
                with pytest.raises(CatalogError, match="kept no generation back"):
                    store.promote()
                return
            before, self.head = self.head, store.promote().generation_id
            assert self.head == waiting[-1]
            if self.lineage[self.head][-2:-1] == (before,):
                assert before in self.on_disk(), "there is a way back"

    @precondition(lambda self: self.head is not None and len(self.added[self.head]) < MOST_TASKS)
    @rule(step=st.sampled_from([None, *(step for step in STEPS if step != "query-copied")]))
    def add(self, step):
        name = self.name()
        if step is None:
            with self.store() as store:
                generation = add_images(store, name, self.folder).generation_id
        else:
            generation = self.crashed(step, lambda store: add_images(store, name, self.folder))
        if step is None or step in COMMITTED:
            self.went_live(generation, added=[name])

    @precondition(lambda self: self.head is not None)
    @rule(data=st.data(), purge=st.booleans())
    def delete(self, data, purge):
        with self.store() as store:
            items = self.chosen(data, store)
            purge = purge and not store.tags_seeing(sorted(items))
            live = delete_images(store, sorted(items), purge=purge).generation_id
            self.went_live(live, deleted=items.values())
            if purge:
                assert not store.held(sorted(items))

    @precondition(lambda self: self.head is not None)
    @rule(data=st.data(), step=st.sampled_from([step for step in STEPS if step != "query-copied"]))
    def crash_while_deleting(self, data, step):
        with self.store() as store:
            items = self.chosen(data, store)
        generation = self.crashed(step, lambda store: delete_images(store, sorted(items)))
        if step in COMMITTED:
            self.went_live(generation, deleted=items.values())

    def chosen(self, data, store):
        """Some of what is seen, gallery and queries: category and content by number."""
        items = store.items(range(1, 500))
        assume(items)
        numbers = data.draw(st.sets(st.sampled_from(sorted(items)), min_size=1, max_size=4))
        return {number: (items[number].category, items[number].content_hash) for number in numbers}

    def crashed(self, step, act):
        """Stop ``act`` at ``step``; return the number of the generation that it was building."""
        started = []

        def stop(reached):
            if reached == step and started:
                raise Crash(step)

        begin = WorkspaceStore.begin

        def begin_and_note(store, task_name):
            started.append(True)
            draft = begin(store, task_name)
            started.append(draft.generation_id)
            return draft

        with (
            mock.patch.object(WorkspaceStore, "begin", begin_and_note),
            mock.patch.object(failpoints, "on_step", stop),
            pytest.raises(Crash),
            self.store() as store,
        ):
            act(store)
        return started[1] if len(started) > 1 else None

    @precondition(lambda self: self.head is not None)
    @rule(data=st.data())
    def roll_back(self, data):
        with self.store() as store:
            generation = data.draw(st.sampled_from(self.on_disk()))
            if self.waits(generation):
                with pytest.raises(CatalogError, match=f"cdml promote {generation}"):
                    store.rollback(generation)
                return
            store.rollback(generation)
        self.head = generation

    @rule(number=st.integers(1000, 2000))
    def roll_back_to_what_never_was(self, number):
        if self.head is not None:
            with pytest.raises(UnknownChoice), self.store() as store:
                store.rollback(number)

    @rule(tag=st.sampled_from(["good", "best"]), data=st.data())
    def tag(self, tag, data):
        with self.store() as store:
            assume(self.on_disk())
            chosen = data.draw(st.sampled_from(self.on_disk()))
            store.tag(tag, chosen)
        self.tags[tag] = chosen

    @precondition(lambda self: self.tags)
    @rule(data=st.data())
    def untag(self, data):
        tag = data.draw(st.sampled_from(sorted(self.tags)))
        with self.store() as store:
            store.untag(tag)
        del self.tags[tag]

    @rule(keep=st.integers(1, 2))
    def collect(self, keep):
        with self.store(keep):
            pass

    @precondition(lambda self: self.head is not None)
    @rule(data=st.data())
    def damage_is_refused(self, data):
        directory = self.workspace.generation_dir(self.head)
        path = directory / data.draw(st.sampled_from(sorted(one.name for one in directory.iterdir())))
        content = path.read_bytes()
        place = data.draw(st.integers(0, len(content) - 1))
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(CorruptIndex), WorkspaceReader(self.workspace) as reader:
            for name in reader.artefacts.all_names():
                reader.artefacts.read_bytes(name)
        path.write_bytes(content)

    @precondition(lambda self: self.head is not None)
    @rule(angle=st.integers(0, 359), k=st.integers(1, 8))
    def query(self, angle, k):
        radians = np.radians(angle)
        asked = np.array([[np.cos(radians), np.sin(radians)]], dtype=np.float32)
        with WorkspaceReader(self.workspace) as reader:
            found = reader.index().search(asked, k)
            ids = np.sort(reader.index().ids)
        similarities = on_circle(ids) @ asked[0]
        best = sorted(-similarities)[: min(k, len(ids))]
        assert np.allclose(-np.array(best), found.similarities[0], atol=1e-5)

    @invariant()
    def what_is_seen_is_what_the_model_says(self):
        if not hasattr(self, "workspace"):
            return
        number, tasks, items, tags = tiny_contents(self.workspace.root)
        assert (number, tasks, dict(tags)) == (self.head, self.tasks[self.head], self.tags)
        found = Counter((category, content) for _, category, content in items)
        everything = (*tasks, *self.added[number])
        learned = {(task, content) for task in everything for content in hashes_of(task)}
        assert found == Counter(learned - self.deleted[self.head])

    @invariant()
    def all_of_it_is_whole(self):
        if hasattr(self, "workspace"):
            assert verify(self.workspace, deep=True, listener=SilentListener()).problems == []
