"""A crash after any step leaves the old generation or the new one, and the next ingest works."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from continual_dml.errors import CatalogError, WorkspaceError
from continual_dml.records import Role
from storage import durable, failpoints
from storage.catalog import publish as writes
from storage.catalog.engine import Database
from storage.draft import PublishingDraft
from storage.failpoints import STEPS
from storage.store import WorkspaceStore

AFTER_COMMIT = {"committed"}


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_during_the_second_task_leaves_the_first_or_both(
    workspace, publish, invariants, crash_at, tmp_path, step
):
    with WorkspaceStore(workspace) as store:
        first = publish(store, "first", tmp_path)
    with WorkspaceStore(workspace) as store:
        crash = crash_at(step)
        with pytest.raises(crash):
            publish(store, "second", tmp_path)
    done = step in AFTER_COMMIT or step in ("collecting", "collected")
    invariants(workspace, ["first", "second"] if done else ["first"])
    with WorkspaceStore(workspace) as store:
        third = publish(store, "third", tmp_path)
    assert third.generation_id == first.generation_id + 2  # the crashed number is never given again
    invariants(workspace, ["first", "second", "third"] if done else ["first", "third"])


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_during_the_very_first_task_leaves_an_empty_workspace_or_the_task(
    workspace, publish, invariants, crash_at, tmp_path, step
):
    with WorkspaceStore(workspace) as store:
        crash = crash_at(step)
        with pytest.raises(crash):
            publish(store, "first", tmp_path)
    done = step in AFTER_COMMIT or step in ("collecting", "collected")
    invariants(workspace, ["first"] if done else [])


def test_every_named_step_is_reached_in_order(workspace, publish, tmp_path, monkeypatch):
    reached = []
    with WorkspaceStore(workspace) as store:
        monkeypatch.setattr(failpoints, "on_step", reached.append)
        publish(store, "first", tmp_path)
    firsts = list(dict.fromkeys(reached))
    assert set(firsts) == set(STEPS)
    order = [step for step in firsts if step not in ("artefact-written", "query-copied")]
    assert order == [step for step in STEPS if step not in ("artefact-written", "query-copied")]


def test_an_abandoned_draft_leaves_nothing_and_its_number_is_not_given_again(
    workspace, publish, invariants, image, tmp_path
):
    with WorkspaceStore(workspace) as store:
        publish(store, "first", tmp_path)
        draft = store.begin("second")
        draft.write_json("report.json", {})
        draft.keep_query_copy(image(tmp_path, "q.png", Role.QUERY, "second"))
        draft.abandon()
        draft.abandon()
        assert not workspace.staging_dir(draft.generation_id).exists()
        assert store.begin("third").generation_id == draft.generation_id + 1
    invariants(workspace, ["first"])


def test_abandoning_after_a_publication_changes_nothing(
    workspace, publish, invariants, tmp_path, monkeypatch
):
    drafts = []
    begin = WorkspaceStore.begin
    monkeypatch.setattr(
        WorkspaceStore, "begin", lambda self, name: drafts.append(begin(self, name)) or drafts[-1]
    )
    with WorkspaceStore(workspace) as store:
        publish(store, "first", tmp_path)
        assert isinstance(drafts[0], PublishingDraft)
        drafts[0].abandon()
    invariants(workspace, ["first"])


def test_a_failed_collection_is_only_a_warning(workspace, publish, tmp_path, monkeypatch):
    def refuse(path):
        raise WorkspaceError(f"cannot remove {path}")

    with WorkspaceStore(workspace) as store:
        publish(store, "first", tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(durable, "remove_tree", refuse)
            second = publish(store, "second", tmp_path)
        assert store.head() == second
        assert len(store.warnings) == 1
    with WorkspaceStore(workspace) as store:
        assert store.warnings == []
        assert [path.name for path in workspace.generations_dir.iterdir()] == ["00000002"]


def test_an_error_inside_the_commit_is_resolved_by_asking_the_catalogue(
    workspace, publish, tmp_path, monkeypatch
):
    original = Database.transaction

    @contextmanager
    def answers_lost(self):
        with original(self) as connection:
            yield connection
        monkeypatch.setattr(Database, "transaction", original)
        raise CatalogError("the connection was lost while committing")

    commit = writes.commit

    def commit_with_lost_answer(*arguments):
        monkeypatch.setattr(Database, "transaction", answers_lost)
        commit(*arguments)

    monkeypatch.setattr(writes, "commit", commit_with_lost_answer)
    with WorkspaceStore(workspace) as store:
        assert store.head() is None
        generation = publish(store, "first", tmp_path)
        assert store.head() == generation
