"""Images added without learning stand beside tasks in the catalogue, and are none: on both databases."""

from __future__ import annotations

import pytest

from continual_dml.errors import CatalogError
from continual_dml.ports import SilentListener
from storage.backup import back_up, restore
from storage.filters import parse_filter
from storage.generations import read_generations
from storage.reader import WorkspaceReader
from storage.rebuild_catalogue import rebuild_catalogue, what_is_wrong
from storage.store import WorkspaceStore
from storage.summary import read_status, read_tasks, read_tasks_and_additions
from storage.verification import verify
from storage.workspace import Workspace
from tests.storage.tiny_tasks import SMALL, add_images, delete_images

BIRDS, ADDED_ITEMS, CARS = [1, 2, 3], [5, 6, 7], [8, 9, 10]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request):
    """Of an empty catalogue."""
    return None if request.param == "sqlite" else request.getfixturevalue("new_database")()


@pytest.fixture
def grown(database_url, tmp_path, publish):
    """Birds were learned (items 1 to 3, asked with 4), owls added (5 to 7), cars learned (8 to 10, 11)."""
    workspace = Workspace.create(tmp_path / "grown", SMALL, database_url, keep_generations=3)
    with WorkspaceStore(workspace) as store:
        publish(store, "birds", tmp_path / "images")
        add_images(store, "owls", tmp_path / "images")
        publish(store, "cars", tmp_path / "images")
    return workspace


def whole(workspace):
    return verify(workspace, deep=True, listener=SilentListener()).problems == []


def test_an_addition_is_no_task_and_its_images_are_seen(grown):
    with WorkspaceStore(grown) as store:
        assert [(one.name, one.task_id) for one in store.tasks()] == [("birds", 1), ("cars", 3)]
        (addition,) = store.additions()
        assert (addition.name, addition.task_id, addition.generation_id) == ("owls", 2, 2)
        assert (addition.categories, addition.train_images, addition.query_images) == (1, 3, 0)
        assert [file.reason for file in addition.quarantined] == ["truncated"]
        assert store.category_ids() == {"birds": 1, "owls": 2, "cars": 3}
        labels = store.gallery_labels()
        assert labels.ids.tolist() == [*BIRDS, *ADDED_ITEMS, *CARS]
        assert labels.tasks.tolist() == [1, 1, 1, 2, 2, 2, 3, 3, 3]
        assert store.items([5])[5].task == "owls"
    with WorkspaceReader(grown) as reader:
        assert reader.matching_ids(parse_filter("task = 'owls'")) == ADDED_ITEMS
        assert reader.matching_ids(parse_filter("category != 'owls'")) == [*BIRDS, *CARS]
    assert [one.name for one in read_tasks(grown)] == ["birds", "cars"]
    assert [one.name for one in read_tasks_and_additions(grown)[1]] == ["owls"]
    assert whole(grown)


def test_counts_add_up_and_the_log_says_what_each_generation_did(grown):
    status = read_status(grown)
    assert (status.tasks, status.categories, status.added, status.quarantined) == (2, 3, 3, 3)
    assert (status.gallery.catalogued, status.gallery.indexed, status.queries.catalogued) == (9, 9, 2)
    log = [(one.task, one.added, one.images) for one in read_generations(grown)]
    assert log == [("birds", 0, 3), ("birds", 3, 6), ("cars", 0, 9)]


def test_an_addition_is_rolled_back_and_forgotten_like_a_task(grown, publish, tmp_path):
    with WorkspaceStore(grown) as store:
        store.rollback(1)
        assert store.additions() == []
        assert sorted(store.category_ids()) == ["birds"]
        store.rollback(2)
        assert [one.name for one in store.additions()] == ["owls"]
        store.rollback(1)
        publish(store, "maps", tmp_path / "images")
        assert [one.name for one in store.tasks()] == ["birds", "maps"]
        assert store.additions() == []
    assert [one.generation_id for one in read_generations(grown)] == [1, 4]
    assert whole(grown)


def test_added_images_are_deleted_like_others(grown):
    with WorkspaceStore(grown) as store:
        delete_images(store, [5, 7, 9], purge=True)
        assert [one.train_images for one in store.additions()] == [1]
        assert [one.train_images for one in store.tasks()] == [3, 2]
        assert store.held([5, 7, 9]) == []
    assert read_status(grown).added == 1
    assert whole(grown)


def test_a_backup_and_a_rebuilt_catalogue_know_additions(grown, tmp_path):
    before = read_tasks_and_additions(grown)
    archive = tmp_path / "backup.tar"
    back_up(grown, archive, SilentListener())
    restored = restore(archive, tmp_path / "restored", None, SilentListener())
    assert read_tasks_and_additions(restored) == before
    for path in restored.root.glob("catalog.db*"):
        path.unlink()
    assert what_is_wrong(restored) == "missing"
    rebuild_catalogue(restored)
    assert read_tasks_and_additions(restored) == before
    assert [one.added for one in read_generations(restored)] == [0, 3, 0]
    assert whole(restored)


def test_nothing_is_added_to_nothing_nor_a_category_twice(database_url, tmp_path, publish):
    workspace = Workspace.create(tmp_path / "empty", SMALL, database_url)
    with WorkspaceStore(workspace) as store:
        draft = store.begin("owls")
        with pytest.raises(CatalogError, match="nothing to add to"):
            draft.publish_addition(None, {})
        draft.abandon()
        publish(store, "birds", tmp_path / "images")
        with pytest.raises(CatalogError, match="'birds' is catalogued already"):
            add_images(store, "birds", tmp_path / "more")
        assert store.additions() == []
    assert whole(workspace)
