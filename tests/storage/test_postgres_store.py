"""The same store over a real PostgreSQL server, started from a package for the length of these tests."""

from __future__ import annotations

import shutil
from contextlib import closing

import pytest
from sqlalchemy import create_engine, make_url, text

from continual_dml.errors import CatalogError, WorkspaceLocked
from continual_dml.ports import SilentListener
from storage.backup import back_up, restore
from storage.catalog.engine import Database
from storage.catalog.postgres import CHANNEL
from storage.generations import read_generations
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.summary import read_report, read_status, read_tasks
from storage.verification import verify
from storage.workspace import Workspace
from tests.postgres_server import running_server


@pytest.fixture(scope="module")
def database_url(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("postgres")) as address:
        yield address


@pytest.fixture
def empty_database_url(database_url):
    """Another database of the same server, dropped afterwards."""
    engine = create_engine(database_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE empty"))
        yield make_url(database_url).set(database="empty").render_as_string(hide_password=False)
        connection.execute(text("DROP DATABASE empty WITH (FORCE)"))
    engine.dispose()


def test_publish_read_crash_and_recover_on_postgresql(
    database_url, tmp_path, small_settings, publish, invariants, crash_at
):
    workspace = Workspace.create(tmp_path / "workspace", small_settings, database_url)
    assert read_status(workspace).generation is None
    with WorkspaceStore(workspace) as store:
        publish(store, "first", tmp_path)
        with WorkspaceReader(workspace) as reader:
            publish(store, "second", tmp_path)
            assert reader.index().ids.tolist() == [1, 2, 3]
    with WorkspaceStore(workspace) as store:
        crash = crash_at("before-commit")
        with pytest.raises(crash):
            publish(store, "third", tmp_path)
    invariants(workspace, ["first", "second"])
    with WorkspaceStore(workspace) as store:
        assert publish(store, "fourth", tmp_path).generation_id == 4
        tasks = store.tasks()
    invariants(workspace, ["first", "second", "fourth"])
    status = read_status(workspace)
    assert (status.gallery.catalogued, status.gallery.indexed, status.queries.copies_on_disk) == (9, 9, 3)
    assert read_tasks(workspace) == tasks
    assert read_report(workspace)["generation"] == 4
    assert not (workspace.root / "catalog.db").exists()
    refused = pytest.raises(CatalogError, match="read-only")
    with closing(Database(database_url, read_only=True)) as database, refused, database.transaction() as one:
        one.execute(text("UPDATE head SET generation_id = NULL"))


def test_one_database_has_one_writer_wherever_its_workspace_lies(
    empty_database_url, tmp_path, small_settings, publish
):
    workspace = Workspace.create(tmp_path / "here", small_settings, empty_database_url)
    shutil.copytree(workspace.root, tmp_path / "on-another-machine")
    other = Workspace.open(tmp_path / "on-another-machine")
    with WorkspaceStore(workspace) as store:
        with pytest.raises(WorkspaceLocked, match="wait until it has finished"), WorkspaceStore(other):
            pass
        publish(store, "birds", tmp_path)
    with WorkspaceStore(other) as store:
        assert [task.name for task in store.tasks()] == ["birds"]


def test_listeners_hear_of_each_generation_that_goes_live(
    empty_database_url, tmp_path, small_settings, publish
):
    import psycopg

    workspace = Workspace.create(tmp_path / "here", small_settings, empty_database_url, keep_generations=2)
    address = empty_database_url.replace("postgresql+psycopg://", "postgresql://", 1)
    with psycopg.connect(address, autocommit=True) as listener:
        listener.execute(f"LISTEN {CHANNEL}")
        with WorkspaceStore(workspace) as store:
            publish(store, "birds", tmp_path)
            publish(store, "cars", tmp_path)
            store.rollback(1)
        heard = [note.payload for note in listener.notifies(timeout=10, stop_after=3)]
    assert heard == ["1", "2", "1"]


def test_names_that_a_bulk_insert_could_misread_are_stored_as_they_are(
    empty_database_url, tmp_path, small_settings, publish
):
    workspace = Workspace.create(tmp_path / "here", small_settings, empty_database_url)
    folder = tmp_path / "tab\tnew\nline \\N \\. 'quoted' \"twice\" \u00e9\u4e2d"
    with WorkspaceStore(workspace) as store:
        publish(store, "na\\tme", folder)
        items = store.items([1, 2, 3])
        assert [items[n].path for n in (1, 2, 3)] == [str(folder / f"na\\tme-{n}.png") for n in range(3)]
        assert sorted(store.category_ids()) == ["na\\tme"]


def test_a_rollback_on_postgresql_is_forgotten_like_one_on_sqlite(
    empty_database_url, tmp_path, small_settings, publish
):
    folder = tmp_path / "workspace"
    workspace = Workspace.create(folder, small_settings, empty_database_url, keep_generations=2)
    with WorkspaceStore(workspace) as store:
        for name in ("birds", "cars", "tools"):
            publish(store, name, tmp_path / name)
        store.tag("good", 3)
        store.rollback(2)
        store.untag("good")
        publish(store, "tools", tmp_path / "again")
        assert sorted(store.category_ids()) == ["birds", "cars", "tools"]
    log = read_generations(workspace)
    assert [(one.generation_id, one.live, one.kept) for one in log] == [
        (1, False, False),
        (2, False, True),
        (4, True, True),
    ]
    assert verify(workspace, deep=True, listener=SilentListener()).problems == []


def test_a_backup_moves_a_workspace_to_postgresql_and_back(workspace, empty_database_url, tmp_path, publish):
    with WorkspaceStore(workspace) as store:
        publish(store, "birds", tmp_path / "birds")
        publish(store, "cars", tmp_path / "cars")
    back_up(workspace, tmp_path / "one.tar", SilentListener())
    there = restore(tmp_path / "one.tar", tmp_path / "there", empty_database_url, SilentListener())
    assert not (there.root / "catalog.db").exists()
    assert verify(there, deep=True, listener=SilentListener()).problems == []
    assert read_tasks(there) == read_tasks(workspace)
    with WorkspaceStore(there) as store:
        publish(store, "tools", tmp_path / "tools")
    back_up(there, tmp_path / "two.tar", SilentListener())
    back = restore(tmp_path / "two.tar", tmp_path / "back", None, SilentListener())
    assert read_generations(back) == read_generations(there)
    with pytest.raises(CatalogError, match="holds a catalogue already"):
        restore(tmp_path / "one.tar", tmp_path / "twice", empty_database_url, SilentListener())
    assert not (tmp_path / "twice").exists()
