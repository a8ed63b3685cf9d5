"""The state of an interrupted training in the workspace: whole or not there, and only for the same run."""

from __future__ import annotations

import numpy as np
import pytest

from storage import checkpoint, durable
from storage.checkpoint import WorkspaceCheckpoint
from storage.store import WorkspaceStore

TENSORS = {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "document": np.frombuffer(b"{}", np.uint8)}


@pytest.fixture
def kept(workspace):
    WorkspaceCheckpoint(workspace.checkpoint_file, "key").write(TENSORS)
    return workspace.checkpoint_file


def test_what_was_kept_is_read_back_by_the_same_run_alone(kept):
    found = WorkspaceCheckpoint(kept, "key").read()
    assert found.keys() == TENSORS.keys()
    assert all(np.array_equal(found[name], array) for name, array in TENSORS.items())
    assert WorkspaceCheckpoint(kept, "another key").read() is None


def test_the_newest_state_takes_the_place_of_the_one_before(kept):
    WorkspaceCheckpoint(kept, "key").write({"weight": np.zeros(1)})
    assert WorkspaceCheckpoint(kept, "key").read()["weight"] == [0]
    assert [path.name for path in kept.parent.iterdir() if "interrupted" in path.name] == [kept.name]


@pytest.mark.parametrize("harm", ["cut", "flipped", "empty", "missing", "link"])
def test_a_state_that_is_not_whole_is_none(kept, tmp_path, harm):
    content = kept.read_bytes()
    kept.unlink()
    if harm == "cut":
        kept.write_bytes(content[:-5])
    elif harm == "flipped":
        kept.write_bytes(content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])
    elif harm == "empty":
        kept.write_bytes(b"")
    elif harm == "link":
        (tmp_path / "elsewhere").write_bytes(content)
        kept.symlink_to(tmp_path / "elsewhere")
    assert WorkspaceCheckpoint(kept, "key").read() is None


def test_a_state_is_due_after_a_minute_and_at_the_end_of_a_run_that_took_one(workspace, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    run = WorkspaceCheckpoint(workspace.checkpoint_file, "key")
    assert not run.is_due(last=False)
    assert not run.is_due(last=True), "too short to be worth it"
    now[0] += 60
    assert run.is_due(last=False)
    run.write(TENSORS)
    assert not run.is_due(last=False)
    assert run.is_due(last=True)


def test_a_disk_that_refuses_is_told_once_and_asked_no_more(workspace, monkeypatch):
    def refuse(*_):
        raise durable.WorkspaceError("cannot write: no space left")

    monkeypatch.setattr(checkpoint, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(durable, "write_file", refuse)
    run = WorkspaceCheckpoint(workspace.checkpoint_file, "key")
    assert run.write(TENSORS) == "cannot write: no space left"
    assert not run.is_due(last=False)
    assert run.read() is None


def test_a_publication_ends_what_was_kept(workspace, kept, publish, tmp_path):
    durable.beside_of(kept).write_bytes(b"half")
    with WorkspaceStore(workspace) as store:
        assert store.checkpoints("key").read() is not None, "opening a workspace leaves it"
        publish(store, "birds", tmp_path / "birds")
        assert store.checkpoints("key").read() is None
        assert store.warnings == []
    assert [path for path in workspace.root.iterdir() if "interrupted" in path.name] == []
