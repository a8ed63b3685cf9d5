"""A catalogue that is gone or damaged: the generations on disk stay, and bring it back."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import text

from continual_dml.errors import CatalogError, WorkspaceLocked
from continual_dml.ports import SilentListener
from storage import draft as draft_module
from storage.catalog import portable
from storage.catalog.engine import Database
from storage.catalogue_files import CatalogueFiles
from storage.rebuild_catalogue import rebuild_catalogue, what_is_wrong
from storage.store import WorkspaceStore
from storage.verification import verify
from storage.workspace import Workspace
from tests.postgres_server import running_server
from tests.storage.tiny_tasks import SMALL, delete_images


def lose_catalogue(workspace):
    for path in workspace.root.glob("catalog.db*"):
        path.unlink()


def directories(workspace):
    return sorted(path.name for path in workspace.generations_dir.iterdir())


def rows_of(workspace):
    """All rows of the catalogue but tags and what never was published."""
    with (
        closing(Database(workspace.database_url, read_only=True)) as database,
        database.transaction() as connection,
    ):
        found = [json.loads(line) for line in portable.dump(connection)]
    return [
        (table, values)
        for table, values in found
        if table != "tag" and not (table == "run" and values["state"] == "aborted")
    ]


def problems(workspace):
    return verify(workspace, deep=True, listener=SilentListener()).problems


def change(workspace, statement):
    with closing(sqlite3.connect(workspace.root / "catalog.db")) as connection:
        connection.execute(statement)
        connection.commit()


@pytest.fixture
def lived(tmp_path, publish):
    """A workspace that has learned three tasks, deleted images twice, and keeps three generations."""
    workspace = Workspace.create(tmp_path / "lived", SMALL, keep_generations=3)
    with WorkspaceStore(workspace) as store:
        publish(store, "birds", tmp_path / "birds")
        publish(store, "cars", tmp_path / "cars")
        delete_images(store, [2, 4])
        store.begin("interrupted").abandon()
        publish(store, "ships", tmp_path / "ships")
        delete_images(store, [5])
    return workspace


def test_a_writer_never_takes_generations_for_debris_because_the_catalogue_is_gone(two, publish, tmp_path):
    before = directories(two)
    lose_catalogue(two)
    for _ in range(2):
        with pytest.raises(CatalogError, match=r"cdml verify --repair"), WorkspaceStore(two) as store:
            publish(store, "ships", tmp_path / "ships")
    assert directories(two) == before != []
    assert not (two.root / "catalog.db").exists()


@pytest.mark.parametrize(
    "harm",
    [
        lose_catalogue,
        lambda workspace: (workspace.root / "catalog.db").write_bytes(b"no database at all" * 1000),
        lambda workspace: (workspace.root / "catalog.db").write_bytes(b""),
    ],
    ids=["missing", "damaged", "empty"],
)
def test_a_lost_catalogue_comes_back_row_by_row(lived, harm, publish, tmp_path):
    before = rows_of(lived)
    harm(lived)
    assert what_is_wrong(lived) is not None
    live = rebuild_catalogue(lived)
    assert live.generation_id == 6
    assert rows_of(lived) == before
    assert problems(lived) == []
    assert what_is_wrong(lived) is None
    with WorkspaceStore(lived) as store:
        assert sorted(store.items(range(1, 20))) == [1, 3, 6, 7, 8, 9, 10, 11, 12]
        publish(store, "trees", tmp_path / "trees")
        store.rollback(6)
    assert problems(lived) == []


def test_a_whole_catalogue_is_left_alone(lived):
    before = (lived.root / "catalog.db").read_bytes()
    with pytest.raises(WorkspaceLocked):
        rebuild_catalogue(lived)
    assert (lived.root / "catalog.db").read_bytes() == before


def test_what_was_there_before_is_set_aside_and_never_overwritten(lived):
    for number in (1, 2):
        (lived.root / "catalog.db").write_bytes(b"damage %d" % number * 100)
        rebuild_catalogue(lived)
        assert (lived.root / f"catalog.db.damaged-{number}").read_bytes() == b"damage %d" % number * 100
    assert problems(lived) == []


def test_a_row_that_was_changed_comes_back_and_tags_and_the_live_generation_stay(lived):
    with WorkspaceStore(lived) as store:
        store.tag("good", 5)
        store.rollback(5)
    before = rows_of(lived)
    change(lived, "UPDATE item SET category_id = 1 WHERE item_id = 7")
    assert len(problems(lived)) > 0
    assert what_is_wrong(lived) == "wrong"
    assert rebuild_catalogue(lived).generation_id == 5
    assert rows_of(lived) == before
    with WorkspaceStore(lived) as store:
        assert store.resolve("good") == 5


def test_a_catalogue_from_before_makes_no_debris_of_what_came_after_it(two, publish, tmp_path):
    with closing(sqlite3.connect(two.root / "catalog.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    former = (two.root / "catalog.db").read_bytes()
    with WorkspaceStore(two) as store:
        store.tag("kept", 2)
        publish(store, "ships", tmp_path / "ships")
        publish(store, "trees", tmp_path / "trees")
    before, rows = directories(two), rows_of(two)
    lose_catalogue(two)
    (two.root / "catalog.db").write_bytes(former)
    with pytest.raises(CatalogError, match="ends with generation 2, but .* holds generation 4"):
        WorkspaceStore(two).__enter__()
    assert directories(two) == before == ["00000002", "00000003", "00000004"]
    assert what_is_wrong(two) is not None
    assert rebuild_catalogue(two).generation_id == 4
    assert rows_of(two) == rows
    assert problems(two) == []


def test_an_image_that_an_older_generation_still_holds_can_be_rolled_back_to(lived):
    lose_catalogue(lived)
    rebuild_catalogue(lived)
    with WorkspaceStore(lived) as store:
        assert store.items([5]) == {}
        store.rollback(5)
        assert store.items([5])[5].path.endswith("cars-0.png")


def test_nothing_of_a_purged_image_comes_back(lived):
    with WorkspaceStore(lived) as store:
        item = store.items([6])[6]
        delete_images(store, [6], purge=True)
    for path in lived.generations_dir.rglob("*"):
        assert path.is_dir() or item.content_hash.encode() not in path.read_bytes()
    before = rows_of(lived)
    lose_catalogue(lived)
    rebuild_catalogue(lived)
    assert rows_of(lived) == before


def test_a_generation_that_cannot_be_read_leaves_the_one_before(lived):
    lose_catalogue(lived)
    (lived.generation_dir(6) / "MANIFEST.json").write_bytes(b"{}")
    assert rebuild_catalogue(lived).generation_id == 5
    assert problems(lived) == []


def test_a_manifest_with_one_changed_figure_is_not_believed(lived):
    lose_catalogue(lived)
    path = lived.generation_dir(6) / "MANIFEST.json"
    before = path.read_text()
    path.write_text(before.replace('"items": 7', '"items": 9'))
    assert path.read_text() != before
    assert rebuild_catalogue(lived).generation_id == 5


def test_a_workspace_without_a_task_gets_an_empty_catalogue(workspace, publish, tmp_path):
    lose_catalogue(workspace)
    assert what_is_wrong(workspace) == "missing"
    assert rebuild_catalogue(workspace) is None
    with WorkspaceStore(workspace) as store:
        publish(store, "birds", tmp_path / "birds")
    assert problems(workspace) == []


def test_generations_of_an_earlier_cdml_cannot_tell_until_the_next_one_is_published(
    tmp_path, publish, monkeypatch
):
    workspace = Workspace.create(tmp_path / "old", SMALL)
    with monkeypatch.context() as patch, WorkspaceStore(workspace) as store:
        patch.setattr(draft_module.catalogue_files, "files_of_next", lambda *_: CatalogueFiles())
        publish(store, "birds", tmp_path / "birds")
        delete_images(store, [2])
    assert problems(workspace) == []
    before = (workspace.root / "catalog.db").read_bytes()
    lose_catalogue(workspace)
    with pytest.raises(CatalogError, match="restore a backup"):
        rebuild_catalogue(workspace)
    assert directories(workspace) == ["00000002"]
    (workspace.root / "catalog.db").write_bytes(before)
    with WorkspaceStore(workspace) as store:
        publish(store, "cars", tmp_path / "cars")
    rows = rows_of(workspace)
    lose_catalogue(workspace)
    rebuild_catalogue(workspace)
    assert rows_of(workspace) == rows


def test_a_server_that_lost_its_database_gets_its_rows_back(tmp_path, publish):
    with running_server(tmp_path) as url:
        workspace = Workspace.create(tmp_path / "workspace", SMALL, url)
        with WorkspaceStore(workspace) as store:
            publish(store, "birds", tmp_path / "birds")
            publish(store, "cars", tmp_path / "cars")
            delete_images(store, [2])
        before = rows_of(workspace)
        assert what_is_wrong(workspace) is None
        with closing(Database(url, read_only=False)) as database, database.transaction() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        assert what_is_wrong(workspace) == "empty"
        with pytest.raises(CatalogError, match="--repair"), WorkspaceStore(workspace):
            pass
        assert rebuild_catalogue(workspace).generation_id == 3
        assert rows_of(workspace) == before
        assert problems(workspace) == []
        with closing(Database(url, read_only=False)) as database, database.transaction() as connection:
            connection.execute(text("UPDATE item SET path = 'elsewhere' WHERE item_id = 1"))
        assert what_is_wrong(workspace) == "wrong"
        with pytest.raises(CatalogError, match="not empty"):
            rebuild_catalogue(workspace)
