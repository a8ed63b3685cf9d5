from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest

from continual_dml.errors import CatalogError, CorruptIndex, GalleryError, SettingsError, WorkspaceError
from continual_dml.records import NewItem, PartCount, Publication, Role, VectorState
from storage.artefacts import PublishedArtefacts
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore


def _publication(draft, items, parts, categories=None):
    return Publication(
        "task", "/src", "finetune", categories or {draft.first_category_id: "c"}, items, [], parts, []
    )


def _item(draft, number=0, path="/a.png"):
    return NewItem(draft.first_item_id + number, draft.first_category_id, Role.GALLERY, "0" * 64, path)


def test_three_tasks_are_published_and_read_back(workspace, publish, invariants, tmp_path):
    with WorkspaceStore(workspace) as store:
        for name in ("first", "second", "third"):
            publish(store, name, tmp_path)
        tasks = store.tasks()
        assert [(task.train_images, task.query_images, task.categories) for task in tasks] == [(3, 1, 1)] * 3
        assert [task.quarantined[0].reason for task in tasks] == ["truncated"] * 3
        queries = store.query_items()
        assert [item.task for item in queries] == ["first", "second", "third"]
        assert set(store.find_by_hash([queries[0].content_hash, "f" * 64])) == {queries[0].content_hash}
        assert store.items([queries[1].item_id, 999])[queries[1].item_id] == queries[1]
        assert Path(store.query_copy_path(queries[0].content_hash)).read_bytes() == b"image first-3.png"
    invariants(workspace, ["first", "second", "third"])


def test_ids_go_on_where_the_last_task_ended(workspace, publish, tmp_path):
    with WorkspaceStore(workspace) as store:
        publish(store, "first", tmp_path)
        draft = store.begin("second")
        assert (draft.generation_id, draft.task_id, draft.first_category_id, draft.first_item_id) == (
            2,
            2,
            2,
            5,
        )


def test_the_manifest_names_every_file_and_its_parent(workspace, publish, tmp_path):
    with WorkspaceStore(workspace) as store:
        first = publish(store, "first", tmp_path)
        second = publish(store, "second", tmp_path)
        manifest = store.open_generation(second).manifest
    assert (manifest.parent_id, manifest.parent_manifest_sha256) == (1, first.manifest_sha256)
    assert set(manifest.files) == {
        "initial.safetensors",
        "model.safetensors",
        "index.safetensors",
        "report.json",
        "catalogue-00000001.jsonl",
        "catalogue-00000002.jsonl",
    }
    assert (manifest.index.dimension, manifest.index.items, manifest.index.dtype) == (2, 6, "float32")
    assert manifest.config == {"method": "finetune"}
    assert "numpy" in manifest.libraries


def test_an_inherited_file_is_the_same_file_and_outlives_its_parent(workspace, publish, tmp_path):
    with WorkspaceStore(workspace, kept_generations=2) as store:
        publish(store, "first", tmp_path)
        publish(store, "second", tmp_path)
        old, new = (workspace.generation_dir(number) / "initial.safetensors" for number in (1, 2))
        assert old.stat().st_ino == new.stat().st_ino
    with WorkspaceStore(workspace) as store:
        assert not workspace.generation_dir(1).exists()
        tensors = store.open_generation(store.head()).read_tensors("initial.safetensors")
    assert tensors["steps"].shape == ()
    assert tensors["weight"].tolist() == [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize("linked", [True, False])
def test_the_self_test_reads_what_was_written_or_copied_and_not_what_is_the_parents_own_file(
    workspace, publish, tmp_path, monkeypatch, linked
):
    read: list[str] = []
    opened = PublishedArtefacts._opened

    def noted(self, name):
        if ".staging" in str(self.path(name)):
            read.append(name)
        return opened(self, name)

    def refuse(*arguments, **options):
        raise OSError(errno.EXDEV, "another device")

    with WorkspaceStore(workspace) as store:
        publish(store, "first", tmp_path)
        monkeypatch.setattr(PublishedArtefacts, "_opened", noted)
        if not linked:
            monkeypatch.setattr(os, "link", refuse)
        publish(store, "second", tmp_path)
    assert "model.safetensors" in read
    assert ("initial.safetensors" in read) != linked


def test_inheriting_a_damaged_file_is_refused(workspace, publish, tmp_path):
    with WorkspaceStore(workspace) as store:
        publish(store, "first", tmp_path)
        (workspace.generation_dir(1) / "initial.safetensors").write_bytes(b"damaged")
        with pytest.raises(CorruptIndex):
            store.begin("second").inherit("initial.safetensors")


def test_the_first_generation_has_nothing_to_inherit(workspace):
    with WorkspaceStore(workspace) as store, pytest.raises(CatalogError, match="nothing to inherit"):
        store.begin("first").inherit("model.safetensors")


def test_rows_of_an_abandoned_generation_never_come_back(workspace, publish, tmp_path):
    from sqlalchemy import update

    from storage.catalog.engine import Database
    from storage.catalog.tables import Head

    with WorkspaceStore(workspace, kept_generations=5) as store:
        publish(store, "first", tmp_path)
        publish(store, "abandoned", tmp_path)
        database = Database(workspace.database_url, read_only=False)
        with database.transaction() as connection:
            connection.execute(update(Head).values(generation_id=1))  # roll back
        database.close()
        assert [task.name for task in store.tasks()] == ["first"]
        third = publish(store, "third", tmp_path)
        assert third.parent_id == 1
        assert [task.name for task in store.tasks()] == ["first", "third"]
        assert sorted(store.category_ids()) == ["first", "third"]
        assert sorted(store.items(range(1, 100))) == [1, 2, 3, 4, 9, 10, 11, 12]
        assert {item.task for item in store.query_items()} == {"first", "third"}
        publish(store, "abandoned", tmp_path)  # the name is free again, in the new line
        assert store.category_ids()["abandoned"] == 4
    with WorkspaceStore(workspace, kept_generations=5):
        assert not workspace.generation_dir(2).exists()


def test_a_generation_built_on_a_head_that_moved_is_refused(workspace, publish, tmp_path):
    from sqlalchemy import update

    from storage.catalog.tables import Head

    with WorkspaceStore(workspace, kept_generations=5) as store:
        publish(store, "first", tmp_path)
        draft = store.begin("late")
        draft.inherit("index.safetensors")
        with draft._database.transaction() as connection:
            connection.execute(update(Head).values(generation_id=None))
        parts = [PartCount(1, VectorState.STALE, 3)]
        with pytest.raises(CatalogError, match="was built on 1, but None is live now"):
            draft.publish(_publication(draft, [], parts), {})
        assert store.head() is None


def test_one_draft_at_a_time(workspace):
    with WorkspaceStore(workspace) as store:
        draft = store.begin("one")
        with pytest.raises(WorkspaceError, match="still being built"):
            store.begin("two")
        draft.abandon()
        assert store.begin("two").generation_id == 2


@pytest.mark.parametrize(
    ("ids", "parts", "reason"),
    [([0, 1], 2, "or other ones"), ([1], 1, "or other ones"), ([0], 2, "gallery parts count 2")],
)
def test_a_generation_that_does_not_agree_with_itself_is_not_published(workspace, ids, parts, reason):
    with WorkspaceStore(workspace) as store:
        draft = store.begin("task")
        vectors = np.eye(2, dtype=np.float32)[: len(ids)]
        draft.write_index(np.array(ids, dtype=np.int64) + draft.first_item_id, vectors)
        part = PartCount(draft.generation_id, VectorState.FRESH, parts)
        with pytest.raises(GalleryError, match=reason):
            draft.publish(_publication(draft, [_item(draft)], [part]), {})
        assert store.head() is None


def test_weights_that_are_not_finite_are_not_published(workspace):
    with WorkspaceStore(workspace) as store:
        draft = store.begin("task")
        draft.write_tensors("model.safetensors", {"weight": np.array([1.0, np.nan])})
        draft.write_index(np.array([draft.first_item_id]), np.array([[1.0, 0.0]], dtype=np.float32))
        part = PartCount(draft.generation_id, VectorState.FRESH, 1)
        with pytest.raises(GalleryError, match=r"weight in model.safetensors .* not finite"):
            draft.publish(_publication(draft, [_item(draft)], [part]), {})


def test_vectors_that_are_not_of_unit_length_are_refused_before_anything_is_written(workspace):
    with WorkspaceStore(workspace) as store, pytest.raises(GalleryError, match="unit length"):
        store.begin("task").write_index(np.array([1]), np.array([[1.0, 1.0]], dtype=np.float32))


def test_many_equal_images_still_pass_the_self_test(workspace):
    with WorkspaceStore(workspace) as store:
        draft = store.begin("task")
        items = [_item(draft, number) for number in range(300)]
        ids = np.array([item.item_id for item in items])
        draft.write_index(ids, np.tile(np.array([[0.6, 0.8]], dtype=np.float32), (300, 1)))
        part = PartCount(draft.generation_id, VectorState.FRESH, 300)
        draft.publish(_publication(draft, items, [part]), {})
        assert len(store.open_generation(store.head()).open_index()) == 300


def test_a_path_that_is_no_unicode_is_stored_and_a_category_that_is_none_is_refused(workspace):
    with WorkspaceStore(workspace) as store:
        draft = store.begin("task \udcff")
        draft.write_index(np.array([draft.first_item_id]), np.array([[1.0, 0.0]], dtype=np.float32))
        part = PartCount(draft.generation_id, VectorState.FRESH, 1)
        items = [_item(draft, path="/photos/\udcff'; --.png")]
        with pytest.raises(CatalogError, match="rename its folder"):
            draft.publish(_publication(draft, items, [part], {draft.first_category_id: "\udcff"}), {})
        draft.publish(_publication(draft, items, [part]), {})
        assert store.items([1])[1].path == "/photos/\\udcff'; --.png"


def test_a_category_name_that_is_visible_already_is_refused(workspace, publish, tmp_path):
    with WorkspaceStore(workspace) as store:
        publish(store, "first", tmp_path)
        with pytest.raises(CatalogError, match="'first' is catalogued already"):
            publish(store, "first", tmp_path)


def test_a_report_with_numbers_that_are_not_finite_is_valid_json(workspace, publish, tmp_path):
    with WorkspaceStore(workspace) as store:
        publish(store, "first", tmp_path)
    text = (workspace.generation_dir(1) / "report.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == {"generation": 1, "average": None}


def test_a_finished_draft_takes_no_more_files(workspace):
    with WorkspaceStore(workspace) as store:
        draft = store.begin("task")
        draft.abandon()
        with pytest.raises(WorkspaceError, match="finished already"):
            draft.write_json("report.json", {})


def test_a_file_is_written_once_and_only_under_a_plain_name(workspace):
    with WorkspaceStore(workspace) as store:
        draft = store.begin("task")
        draft.write_json("report.json", {})
        with pytest.raises(WorkspaceError, match="File exists"):
            draft.write_json("report.json", {})
        for name in ("../report.json", "MANIFEST.json", ".hidden", "a/b"):
            with pytest.raises(ValueError, match="no artefact name"):
                draft.write_json(name, {})
        draft.abandon()


def test_a_store_must_keep_at_least_the_live_generation(workspace):
    with pytest.raises(SettingsError):
        WorkspaceStore(workspace, kept_generations=0)


def test_a_closed_store_says_so(workspace):
    with WorkspaceStore(workspace) as store:
        pass
    with pytest.raises(WorkspaceError, match="is closed"):
        store.head()


def test_a_reader_of_an_empty_workspace_says_what_to_do(workspace):
    with pytest.raises(CatalogError, match="cdml ingest-task"), WorkspaceReader(workspace):
        pass
