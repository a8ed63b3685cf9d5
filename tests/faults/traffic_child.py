"""One process of ``tests.faults.traffic``: a writer that changes the workspace, or a reader that asks.

Both tell what they do as JSON lines on stdout, each flushed before the next step. A writer says what it
begins and what it has done; a reader says how long answers took, and at once when one was wrong or failed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from storage.index.stored import StoredIndex
from storage.live_reader import LiveReader, unprepared
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.workspace import Workspace
from tests.storage.tiny_tasks import on_circle, publish_task

MOST_TASKS = 10
BASE = "base"
_NEIGHBOURS = 3
_TOLD_EVERY = 50
_REFRESH_SECONDS = 0.05


def tell(**line: object) -> None:
    """Write one line for the parent."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class Writer:
    """Does one thing after another; every name and choice comes from ``seed`` and the process number."""

    def __init__(self, workspace: Workspace, images: Path, seed: int) -> None:
        self._workspace = workspace
        self._images = images
        self._choose = random.Random(seed)
        self._number = 0

    def run(self) -> None:
        """Go on until killed or told to stop."""
        tell(ready=True)
        while True:
            with WorkspaceStore(self._workspace) as store:
                full = len(store.tasks()) >= MOST_TASKS
                act = self._roll_back_to_base if full else self._choose.choices(
                    (self._publish, self._roll_back, self._tag), (6, 2, 1)
                )[0]  # fmt: skip
                self._tell_live(store)
                act(store)
            if self._choose.random() < 0.2:
                self._collect()

    @staticmethod
    def _tell_live(store: WorkspaceStore) -> None:
        head = store.head()
        tell(live=None if head is None else head.generation_id)

    def _publish(self, store: WorkspaceStore) -> None:
        self._number += 1
        name = f"t{os.getpid()}-{self._number}"
        tell(begin="publish", task=name)
        tell(done="publish", generation=publish_task(store, name, self._images).generation_id)

    def _roll_back(self, store: WorkspaceStore) -> None:
        kept = [int(path.name) for path in self._workspace.generations_dir.iterdir() if path.name.isdigit()]
        self._back(store, self._choose.choice(sorted(kept)))

    def _roll_back_to_base(self, store: WorkspaceStore) -> None:
        self._back(store, store.resolve(BASE))

    def _back(self, store: WorkspaceStore, generation: int) -> None:
        tell(begin="rollback", generation=generation)
        tell(done="rollback", generation=store.rollback(generation).generation_id)

    def _tag(self, store: WorkspaceStore) -> None:
        head = store.head()
        if head is not None:
            tell(begin="tag")
            store.tag("good", head.generation_id)
            tell(done="tag", generation=head.generation_id)

    def _collect(self) -> None:
        tell(begin="collect")
        with WorkspaceStore(self._workspace, 1):
            pass
        tell(done="collect")


def ask(reader: WorkspaceReader, index: StoredIndex, choose: random.Random) -> None:
    """Ask for the neighbours of one item and check all that can be known of the answer.

    Raises:
        AssertionError: it is wrong.
    """
    item = choose.choice(index.ids.tolist())
    found = index.search(on_circle(np.array([item])), _NEIGHBOURS)
    ids = found.ids[0].tolist()
    items = reader.items(ids)
    number = reader.generation.generation_id
    assert found.similarities[0, 0] > 1 - 1e-5, f"generation {number}: item {item} finds {ids}"
    assert sorted(items) == sorted(ids), f"generation {number}: {ids} are not all in the catalogue"
    expected = on_circle(np.array(ids)) @ on_circle(np.array([item]))[0]
    assert np.allclose(found.similarities[0], expected, atol=1e-5), f"generation {number}: vectors differ"
    report = reader.artefacts.read_json("report.json")["generation"]
    assert report == number, f"the report of {report} in generation {number}"


@contextmanager
def following(workspace: Workspace) -> Iterator[Callable[[random.Random], None]]:
    """Yield a way to ask in a process that stays and follows the live generation."""
    with LiveReader(workspace, unprepared) as live, live.following(_REFRESH_SECONDS):

        def ask_the_live_one(choose: random.Random) -> None:
            with live.snapshot() as snapshot:
                ask(snapshot.reader, snapshot.index, choose)
            problem = live.health.problem
            assert problem is None, f"unhealthy: {problem}"

        yield ask_the_live_one


@contextmanager
def anew(workspace: Workspace) -> Iterator[Callable[[random.Random], None]]:
    """Yield a way to ask that opens the workspace each time, as ``cdml query`` does."""

    def open_and_ask(choose: random.Random) -> None:
        with WorkspaceReader(workspace) as reader:
            ask(reader, reader.index(), choose)

    yield open_and_ask


READERS = {"following": following, "anew": anew}


def read(workspace: Workspace, kind: str, seed: int) -> None:
    """Ask until told to stop."""
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    choose, milliseconds = random.Random(seed), []
    with READERS[kind](workspace) as ask_once:
        tell(ready=True)
        while not stopped:
            begin = time.perf_counter()
            try:
                ask_once(choose)
            except Exception as error:  # noqa: BLE001 - all are failed queries
                tell(failed=f"{type(error).__name__}: {error}")
            milliseconds.append(round(1000 * (time.perf_counter() - begin), 2))
            if len(milliseconds) == _TOLD_EVERY:
                tell(milliseconds=milliseconds)
                milliseconds = []
    tell(milliseconds=milliseconds)


def main(role: str, root: str, images: str, seed: str) -> None:
    """Play one part."""
    workspace = Workspace.open(Path(root))
    if role == "writer":
        Writer(workspace, Path(images), int(seed)).run()
    else:
        read(workspace, role, int(seed))


if __name__ == "__main__":
    main(*sys.argv[1:])
