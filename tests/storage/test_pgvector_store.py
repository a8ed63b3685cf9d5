"""A workspace whose vectors lie in PostgreSQL: what is published, kept, dropped and refused."""

from __future__ import annotations

import threading
from contextlib import closing

import numpy as np
import pytest
from sqlalchemy import create_engine, text

from continual_dml.errors import CorruptIndex, SettingsError
from continual_dml.ports import SilentListener
from continual_dml.records import Deletion, PartCount, VectorState
from storage.catalog.engine import Database
from storage.filters import parse_filter
from storage.live_reader import LiveReader, unprepared
from storage.pgvector import tables
from storage.pgvector.index import FILE_NAME, PgvectorKind
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.summary import read_status
from storage.verification import verify
from storage.workspace import Workspace
from tests.storage.tiny_tasks import delete_images, on_circle
from tests.storage.vector_tables import execute, vector_tables

QUIET = SilentListener()


def test_vectors_are_published_searched_and_dropped_with_their_generation(
    there, tmp_path, publish, invariants
):
    with WorkspaceStore(there) as store:
        publish(store, "birds", tmp_path)
        assert vector_tables(there) == ["gallery_vectors_1"]
        publish(store, "cars", tmp_path)
    assert vector_tables(there) == ["gallery_vectors_2"]
    invariants(there, ["birds", "cars"])
    found = read_status(there).index
    assert (found.kind, found.recall_at_10) == ("pgvector", 1.0)
    assert verify(there, deep=True, listener=QUIET).problems == []


def test_a_reader_keeps_the_table_that_it_searches(there, tmp_path, publish):
    with WorkspaceStore(there) as store:
        publish(store, "birds", tmp_path)
        with WorkspaceReader(there) as reader:
            index = reader.index()
            publish(store, "cars", tmp_path)
            assert vector_tables(there) == ["gallery_vectors_1", "gallery_vectors_2"]
            assert index.search(on_circle(np.array([2])), 5).ids.tolist() == [[2, 1, 3]]
    with WorkspaceStore(there):
        assert vector_tables(there) == ["gallery_vectors_2"]


def test_a_filter_that_few_match_finds_all_that_do(there, tmp_path, publish):
    with WorkspaceStore(there) as store:
        for name in ("birds", "cars", "tools"):
            publish(store, name, tmp_path / name, gallery=30 if name != "cars" else 2)
    with WorkspaceReader(there) as reader:
        matching = np.array(reader.matching_ids(parse_filter("category = 'cars'")), dtype=np.int64)
        found = reader.index().among(matching).search(on_circle(np.array([1, 60])), 10)
    assert [sorted(row) for row in found.ids.tolist()] == [sorted(matching), sorted(matching)]


def test_threads_search_while_newer_generations_take_over(there, tmp_path, publish):
    wrong, stop = [], threading.Event()

    def ask(live):
        while not stop.is_set():
            with live.snapshot() as snapshot:
                ids = np.sort(snapshot.index.ids)
                found = snapshot.index.search(on_circle(ids), 1).ids[:, 0]
                if not np.array_equal(found, ids):
                    wrong.append((ids, found))

    with WorkspaceStore(there) as store:
        publish(store, "task-0", tmp_path)
        with LiveReader(there, unprepared) as live:
            threads = [threading.Thread(target=ask, args=(live,)) for _ in range(3)]
            for thread in threads:
                thread.start()
            for number in range(1, 4):
                publish(store, f"task-{number}", tmp_path)
                assert live.refresh(), live.health
            stop.set()
            for thread in threads:
                thread.join()
    assert wrong == []


@pytest.mark.parametrize("step", ["self-tested", "renamed", "rows-inserted", "before-commit"])
def test_a_table_that_a_crash_left_behind_is_dropped_by_the_next_writer(
    there, tmp_path, publish, invariants, crash_at, step
):
    with WorkspaceStore(there) as store:
        publish(store, "birds", tmp_path)
    with pytest.raises(crash_at(step)), WorkspaceStore(there) as store:
        publish(store, "cars", tmp_path)
    assert vector_tables(there) == ["gallery_vectors_1", "gallery_vectors_2"]
    invariants(there, ["birds"])
    assert vector_tables(there) == ["gallery_vectors_1"]


def test_an_abandoned_draft_leaves_no_table(there, tmp_path, publish):
    with WorkspaceStore(there) as store:
        publish(store, "birds", tmp_path)
        draft = store.begin("cars")
        draft.write_index(np.array([9]), on_circle(np.array([9])))
        assert vector_tables(there) == ["gallery_vectors_1", "gallery_vectors_2"]
        draft.abandon()
        assert vector_tables(there) == ["gallery_vectors_1"]


def test_a_rollback_searches_the_earlier_table_again(tmp_path, small_settings, new_database, publish):
    kept = Workspace.create(
        tmp_path / "kept", small_settings, new_database(), keep_generations=2, index="pgvector"
    )
    with WorkspaceStore(kept) as store:
        publish(store, "birds", tmp_path)
        publish(store, "cars", tmp_path)
        store.rollback(1)
        with WorkspaceReader(kept) as reader:
            assert reader.index().search(on_circle(np.array([1])), 9).ids.tolist() == [[1, 2, 3]]
        assert vector_tables(kept) == ["gallery_vectors_1", "gallery_vectors_2"]
        store.rollback(2)
        execute(kept, "UPDATE gallery_vectors_1 SET embedding = '[0,1]' WHERE item_id = 2")
        with pytest.raises(CorruptIndex, match="gallery_vectors_1"):
            store.rollback(1)
        assert store.head().generation_id == 2


def test_a_generation_that_takes_over_an_index_keeps_its_table(there, tmp_path, publish):
    with WorkspaceStore(there) as store:
        publish(store, "birds", tmp_path)
        parent = store.open_generation(store.head())
        (query,) = [item.item_id for item in store.query_items()]
        draft = store.begin("deletion")
        for name in parent.names():
            draft.inherit(name)
        parts = [PartCount(1, VectorState.FRESH, 3)]
        draft.publish_deletion(Deletion([query], parts, False), parent.config)
        assert not there.generation_dir(1).exists()
        assert vector_tables(there) == ["gallery_vectors_1"]
        publish(store, "cars", tmp_path)
    assert vector_tables(there) == ["gallery_vectors_3"]


def test_a_purge_leaves_no_table_with_the_vectors_of_what_it_took_out(there, tmp_path, publish):
    with WorkspaceStore(there) as store:
        publish(store, "birds", tmp_path)
        store.tag("good", 1)
        store.untag("good")
        delete_images(store, [2], purge=True)
        assert store.held([2]) == []
    assert vector_tables(there) == ["gallery_vectors_2"]
    with WorkspaceReader(there) as reader:
        assert reader.index().ids.tolist() == [1, 3]


def test_what_is_known_of_a_purged_image_stays_while_its_table_cannot_be_dropped(
    there, tmp_path, publish, monkeypatch
):
    monkeypatch.setattr(tables, "_PATIENCE_MILLISECONDS", 10)
    with WorkspaceStore(there) as store:
        publish(store, "birds", tmp_path)
        engine = create_engine(there.database_url)
        with engine.begin() as other:
            other.execute(text("LOCK TABLE gallery_vectors_1 IN ACCESS SHARE MODE"))
            delete_images(store, [2], purge=True)
            assert store.held([2]) == [2]
            assert any("gallery_vectors_1 was not removed" in line for line in store.warnings)
        engine.dispose()
    with WorkspaceStore(there) as store:
        assert store.held([2]) == []
    assert vector_tables(there) == ["gallery_vectors_2"]


def test_the_kind_may_be_changed_to_postgresql_and_back(tmp_path, small_settings, new_database, publish):
    workspace = Workspace.create(tmp_path / "here", small_settings, new_database())
    for before, after, task in (("flat", "pgvector", "birds"), ("pgvector", "flat", "cars")):
        settings = workspace.settings_file.read_text()
        workspace.settings_file.write_text(settings.replace(f'index = "{before}"', f'index = "{after}"'))
        with WorkspaceStore(Workspace.open(workspace.root)) as store:
            publish(store, task, tmp_path)
        assert read_status(workspace).index.kind == after
    assert vector_tables(workspace) == []


def test_without_postgresql_the_kind_is_refused_before_anything_is_made(tmp_path, small_settings):
    for address in (None, f"sqlite:///{tmp_path / 'elsewhere.db'}"):
        with pytest.raises(SettingsError, match=r"give --database-url postgresql\+psycopg://"):
            Workspace.create(tmp_path / "here", small_settings, address, index="pgvector")
    assert list(tmp_path.iterdir()) == []


def test_without_the_extension_the_kind_is_refused_and_the_database_stays_empty(
    tmp_path, small_settings, new_database
):
    address = new_database()
    bare = f"{address}&options=-cextension_control_path%3D/nowhere"
    with pytest.raises(SettingsError, match="have pgvector 0.8 or newer installed"):
        Workspace.create(tmp_path / "here", small_settings, bare, index="pgvector")
    Workspace.create(tmp_path / "here", small_settings, address, index="pgvector")


def test_a_task_is_refused_before_it_is_learned_where_its_index_cannot_be_built(workspace):
    settings = workspace.settings_file.read_text()
    workspace.settings_file.write_text(settings.replace('index = "flat"', 'index = "pgvector"'))
    with (
        WorkspaceStore(Workspace.open(workspace.root)) as store,
        pytest.raises(SettingsError, match="keeps its vectors in PostgreSQL"),
    ):
        store.begin("birds")


def test_the_document_of_a_table_says_what_to_do_without_its_server(workspace, tmp_path, publish, there):
    with WorkspaceStore(there) as store:
        publish(store, "birds", tmp_path)
        content = (there.generation_dir(1) / FILE_NAME).read_bytes()
    with (
        closing(Database(workspace.database_url, read_only=True)) as database,
        pytest.raises(CorruptIndex, match="set another index under"),
    ):
        PgvectorKind(database, 1).from_bytes(content)
