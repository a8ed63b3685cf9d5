"""Features of an interrupted ingest go with the next publication, however that ends."""

from __future__ import annotations

import numpy as np
import pytest

from storage import embedded_shards
from storage.store import WorkspaceStore

ARRAYS = {"features": np.ones((3, 2), np.float32), "positions": np.arange(3)}


@pytest.fixture
def kept(workspace, publish, tmp_path, monkeypatch):
    """A workspace with one task, and shards of an ingest of the second."""
    monkeypatch.setattr(embedded_shards, "EVERY_SECONDS", 0.0)
    with WorkspaceStore(workspace) as store:
        publish(store, "birds", tmp_path / "birds")
        assert store.shards("key").keep("chunk", ARRAYS) is None
    return workspace


def there(workspace):
    with WorkspaceStore(workspace) as store:
        assert store.warnings == []
        return store.shards("key").find("chunk")


def test_they_stay_until_something_is_published(kept):
    found = there(kept)
    assert found.keys() == ARRAYS.keys()
    assert all(np.array_equal(found[name], array) for name, array in ARRAYS.items())


def test_a_publication_removes_them_and_what_is_half_written(kept, publish, tmp_path):
    (kept.shards_dir / ".half.new").write_bytes(b"half")
    with WorkspaceStore(kept) as store:
        publish(store, "cars", tmp_path / "cars")
        assert not kept.shards_dir.exists()
        assert store.warnings == []


@pytest.mark.parametrize("step", ["committed", "collecting"])
def test_after_a_crash_before_they_were_removed_the_next_writer_does_it(
    kept, publish, crash_at, tmp_path, monkeypatch, step
):
    if step == "collecting":
        monkeypatch.setattr(embedded_shards, "discard", lambda _: None)  # killed in the middle of it
    with WorkspaceStore(kept) as store:
        crash = crash_at(step)
        with pytest.raises(crash):
            publish(store, "cars", tmp_path / "cars")
    monkeypatch.undo()
    assert kept.shards_dir.exists()
    assert there(kept) is None
    assert not kept.shards_dir.exists()


def test_a_rollback_makes_them_useless_too(kept, tmp_path, publish):
    with WorkspaceStore(kept, kept_generations=2) as store:
        publish(store, "cars", tmp_path / "cars")
        store.shards("key").keep("chunk", ARRAYS)
        store.rollback(1)
    assert there(kept) is None


def test_a_first_task_may_have_some_as_well(workspace, monkeypatch):
    monkeypatch.setattr(embedded_shards, "EVERY_SECONDS", 0.0)
    with WorkspaceStore(workspace) as store:
        store.shards("key").keep("chunk", ARRAYS)
    assert there(workspace) is not None
