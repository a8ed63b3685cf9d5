"""Vectors in PostgreSQL come back from the files beside them: after damage, and out of a backup."""

from __future__ import annotations

import numpy as np
import pytest

from continual_dml.errors import CorruptIndex, SettingsError
from continual_dml.ports import SilentListener
from continual_dml.workflows.rebuild_index import rebuild_index
from storage.backup import back_up, restore
from storage.reader import WorkspaceReader
from storage.rebuild_catalogue import rebuild_catalogue, what_is_wrong
from storage.repair import index_is_damaged
from storage.store import WorkspaceStore
from storage.summary import read_status
from storage.verification import verify
from storage.workspace import Workspace
from tests.storage.tiny_tasks import on_circle
from tests.storage.vector_tables import execute, publish_whole, vector_tables

QUIET = SilentListener()


@pytest.mark.parametrize(
    ("harm", "opens"),
    [
        ("UPDATE gallery_vectors_1 SET embedding = '[0,1]' WHERE item_id = 2", True),
        ("DELETE FROM gallery_vectors_1 WHERE item_id = 2", False),
        ("DROP TABLE gallery_vectors_1", False),
    ],
)
def test_an_altered_or_lost_table_is_found_and_built_again_from_the_files(there, tmp_path, harm, opens):
    with WorkspaceStore(there) as store:
        publish_whole(store, "birds", tmp_path)
    execute(there, harm)
    if not opens:
        with WorkspaceReader(there) as reader, pytest.raises(CorruptIndex, match="verify --repair"):
            reader.index()
    (problem,) = verify(there, deep=True, listener=QUIET).problems
    assert "gallery_vectors_1" in problem
    with WorkspaceStore(there) as store:
        assert index_is_damaged(store, store.head())
        rebuild_index(store)
        assert not index_is_damaged(store, store.head())
    assert verify(there, deep=True, listener=QUIET).problems == []
    assert vector_tables(there) == ["gallery_vectors_2"]


def test_a_lost_database_is_made_again_from_the_files_with_catalogue_and_vectors(there, tmp_path):
    with WorkspaceStore(there) as store:
        publish_whole(store, "birds", tmp_path)
    execute(there, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    assert what_is_wrong(there) is not None
    rebuild_catalogue(there)
    with WorkspaceStore(there) as store:
        assert index_is_damaged(store, store.head())
        rebuild_index(store)
    assert verify(there, deep=True, listener=QUIET).problems == []
    with WorkspaceReader(there) as reader:
        assert reader.index().search(on_circle(np.array([3])), 1).ids.tolist() == [[3]]


def test_a_backup_fills_the_tables_of_another_database(there, tmp_path, new_database):
    with WorkspaceStore(there) as store:
        publish_whole(store, "birds", tmp_path)
    back_up(there, tmp_path / "one.tar", QUIET)
    again = restore(tmp_path / "one.tar", tmp_path / "again", new_database(), QUIET)
    assert vector_tables(again) == ["gallery_vectors_1"]
    assert verify(again, deep=True, listener=QUIET).problems == []
    with WorkspaceReader(again) as reader:
        assert reader.index().search(on_circle(np.array([3])), 1).ids.tolist() == [[3]]


def test_a_backup_restored_without_postgresql_has_its_index_built_as_another_kind(there, tmp_path):
    with WorkspaceStore(there) as store:
        publish_whole(store, "birds", tmp_path)
    back_up(there, tmp_path / "one.tar", QUIET)
    again = restore(tmp_path / "one.tar", tmp_path / "again", None, QUIET)
    assert Workspace.open(again.root).index_kind == "flat"
    assert verify(again, deep=True, listener=QUIET).problems == []
    assert read_status(again).index.kind == "flat"
    with WorkspaceReader(again) as reader:
        assert reader.generation.generation_id == 2
        assert reader.index().search(on_circle(np.array([3])), 1).ids.tolist() == [[3]]


def test_a_backup_whose_vectors_cannot_be_indexed_again_leaves_nothing(
    there, tmp_path, publish, new_database
):
    with WorkspaceStore(there) as store:
        publish_whole(store, "birds", tmp_path)
    back_up(there, tmp_path / "one.tar", QUIET)
    elsewhere = f"{new_database()}&options=-cextension_control_path%3D/nowhere"
    with pytest.raises(SettingsError, match="have pgvector 0.8 or newer installed"):
        restore(tmp_path / "one.tar", tmp_path / "again", elsewhere, QUIET)
    assert not (tmp_path / "again").exists()
