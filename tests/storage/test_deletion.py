"""Images that were deleted: unseen at once, brought back by a rollback, and gone once nothing keeps them."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
from sqlalchemy import select

from continual_dml.errors import CatalogError, SelfTestFailed
from continual_dml.ports import SilentListener
from continual_dml.records import Deletion, PartCount, Role, VectorState
from storage import failpoints
from storage.backup import back_up, restore
from storage.catalog.engine import Database
from storage.catalog.tables import Item
from storage.failpoints import STEPS
from storage.generations import read_generations
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.summary import read_status
from storage.verification import verify
from storage.workspace import Workspace
from tests.storage.tiny_tasks import SMALL, delete_images, on_circle

BIRD, CAR = [1, 2, 3], [5, 6, 7]
BIRD_QUERY = 4
COMMITTED = ("committed", "collecting", "collected")


@pytest.fixture
def two(tmp_path, publish):
    """A workspace that keeps three generations: birds (items 1 to 3, asked with 4) and cars (5 to 7, 8)."""
    workspace = Workspace.create(tmp_path / "two", SMALL, keep_generations=3)
    with WorkspaceStore(workspace) as store:
        publish(store, "birds", tmp_path / "birds")
        publish(store, "cars", tmp_path / "cars")
    return workspace


def delete(workspace, item_ids, *, purge=False, keep=None):
    with WorkspaceStore(workspace, keep) as store:
        return delete_images(store, item_ids, purge=purge)


def seen(workspace):
    with WorkspaceReader(workspace) as reader:
        return sorted(reader.items(range(1, 20)))


def known(workspace):
    """Paths of all rows, by item."""
    with (
        closing(Database(workspace.database_url, read_only=True)) as database,
        database.transaction() as connection,
    ):
        return {row.item_id: row.path for row in connection.execute(select(Item.item_id, Item.path))}


def content_of(workspace):
    """All bytes of all files of the workspace."""
    return b"".join(path.read_bytes() for path in sorted(workspace.root.rglob("*")) if path.is_file())


def whole(workspace):
    return verify(workspace, deep=True, listener=SilentListener()).problems == []


def test_a_deleted_image_is_seen_nowhere(two):
    hashes = {}
    with WorkspaceStore(two) as store:
        hashes = {number: item.content_hash for number, item in store.items([1, 2, BIRD_QUERY]).items()}
        delete_images(store, [2, BIRD_QUERY])
        assert sorted(store.items(range(1, 20))) == [1, 3, 5, 6, 7, 8]
        assert [item.item_id for item in store.query_items()] == [8]
        assert set(store.find_by_hash(list(hashes.values()))) == {hashes[1]}
        assert [(task.train_images, task.query_images) for task in store.tasks()] == [(2, 0), (3, 1)]
    with WorkspaceReader(two) as reader:
        assert sorted(reader.index().ids) == [1, 3, 5, 6, 7]
    status = read_status(two)
    assert (status.gallery.catalogued, status.gallery.indexed, status.queries.catalogued) == (5, 5, 1)
    assert (status.deleted.gallery, status.deleted.queries, status.deleted.categories) == (1, 1, 1)
    assert whole(two)


def test_a_rollback_brings_a_deleted_image_back_while_the_generation_before_is_kept(two):
    delete(two, [2, BIRD_QUERY])
    with WorkspaceStore(two) as store:
        store.rollback(2)
    assert seen(two) == [*BIRD, BIRD_QUERY, *CAR, 8]
    assert len(list(two.queries_dir.rglob("*/*"))) == 2
    assert whole(two)


def test_nothing_but_its_number_is_known_of_an_image_that_no_kept_generation_sees(two, publish, tmp_path):
    delete(two, [2, 7, 8], keep=1)
    paths = known(two)
    assert [number for number, path in paths.items() if not path] == [2, 7, 8]
    assert len(list(two.queries_dir.rglob("*/*"))) == 1
    with WorkspaceStore(two) as store:
        assert store.held([1, 2, 7, 8]) == [1]
        publish(store, "maps", tmp_path / "maps")
    assert seen(two) == [1, 3, 4, 5, 6, 9, 10, 11, 12], "numbers are not given twice"
    assert whole(two)


def test_a_purge_keeps_no_earlier_generation_and_leaves_no_byte_of_the_image(two):
    path = known(two)[2].encode()
    with WorkspaceStore(two) as store:
        content_hash = store.items([2])[2].content_hash.encode()
    vector = on_circle(np.array([2])).tobytes()
    before = content_of(two)
    assert all(trace in before for trace in (path, content_hash, vector))
    delete(two, [2], purge=True)
    assert [one.generation_id for one in read_generations(two) if one.kept] == [3]
    after = content_of(two)
    assert not any(trace in after for trace in (path, content_hash, vector))
    assert whole(two)


def test_nothing_from_before_a_purge_is_kept_later_either(two, publish, tmp_path):
    delete(two, [2], purge=True)
    with WorkspaceStore(two) as store:
        publish(store, "maps", tmp_path / "maps")
    assert [one.generation_id for one in read_generations(two) if one.kept] == [3, 4]


def test_what_a_reader_looks_at_stays_until_it_is_done(two):
    with WorkspaceReader(two) as reader:
        delete(two, [2], purge=True)
        assert sorted(reader.items(BIRD)) == BIRD
        with WorkspaceStore(two) as store:
            assert store.held([2]) == [2]
    with WorkspaceStore(two) as store:
        assert store.held([2]) == []


def test_a_tag_that_keeps_a_deleted_image_is_named(two):
    with WorkspaceStore(two) as store:
        store.tag("first", 1)
        assert store.tags_seeing([2]) == ["first"]
        assert store.tags_seeing([5]) == []
        delete_images(store, [2, 5])
    assert known(two)[2]
    with WorkspaceStore(two, 1) as store:
        assert store.held([2, 5]) == [2], "the tagged generation sees it still"
        store.untag("first")
    with WorkspaceStore(two, 1) as store:
        assert store.held([2, 5]) == []


@pytest.mark.parametrize(
    ("step", "purge"),
    [*((step, False) for step in STEPS if step != "query-copied"), *((step, True) for step in COMMITTED)],
)
def test_a_crash_leaves_all_of_the_images_or_none(two, monkeypatch, step, purge):
    started = []

    class Crash(BaseException):
        pass

    def stop(reached):
        if reached == step and started:
            raise Crash

    monkeypatch.setattr(failpoints, "on_step", stop)
    with pytest.raises(Crash), WorkspaceStore(two) as store:
        started.append(True)
        delete_images(store, [2, 8], purge=purge)
    monkeypatch.undo()
    committed = step in COMMITTED
    everything = [*BIRD, BIRD_QUERY, *CAR, 8]
    assert seen(two) == [number for number in everything if not committed or number not in (2, 8)]
    assert whole(two)
    with WorkspaceStore(two) as store:
        assert store.held([2, 8]) == ([] if committed and purge else [2, 8])
    assert whole(two)


def test_each_deleted_image_stays_known_as_long_as_a_generation_with_it_is_kept(two):
    with WorkspaceStore(two) as store:
        delete_images(store, [2])
        delete_images(store, [5])
        assert store.held([2, 5]) == [2, 5]
        store.rollback(3)
        assert store.items([5])[5].path.endswith("cars-0.png")
        delete_images(store, [1])
        assert store.held([1, 2, 5]) == [1, 2, 5]
        delete_images(store, [3])
        assert store.held([1, 2, 3, 5]) == [1, 3, 5]
    assert whole(two)


def test_an_index_that_still_holds_a_deleted_image_does_not_go_live(two):
    with WorkspaceStore(two) as store:
        head = store.head()
        draft = store.begin("deletion")
        for name in store.open_generation(head).names():
            draft.inherit(name)
        with pytest.raises(SelfTestFailed):
            draft.publish_deletion(Deletion([2], [PartCount(1, VectorState.FRESH, 6)], purged=False), {})
        draft.abandon()
        assert sorted(store.items(range(1, 20))) == [*BIRD, BIRD_QUERY, *CAR, 8]


def test_nothing_can_be_deleted_from_a_workspace_without_a_task(tmp_path):
    workspace = Workspace.create(tmp_path / "new", SMALL)
    with WorkspaceStore(workspace) as store:
        draft = store.begin("deletion")
        with pytest.raises(CatalogError, match="nothing to delete"):
            draft.publish_deletion(Deletion([1], [], purged=False), {})
        draft.abandon()


def test_all_images_can_be_deleted_and_others_learned_afterwards(two, publish, tmp_path):
    delete(two, [*BIRD, BIRD_QUERY, *CAR, 8])
    assert seen(two) == []
    with WorkspaceReader(two) as reader:
        assert reader.index().search(on_circle(np.array([1])), 3).ids.shape == (1, 0)
    with WorkspaceStore(two) as store:
        publish(store, "maps", tmp_path / "maps")
    assert seen(two) == [9, 10, 11, 12]
    assert whole(two)


def test_a_backup_holds_what_is_deleted_as_deleted(two, tmp_path):
    delete(two, [2, 8], keep=1)
    back_up(two, tmp_path / "backup.tar", SilentListener())
    again = restore(tmp_path / "backup.tar", tmp_path / "again", None, SilentListener())
    assert seen(again) == seen(two)
    assert known(again)[2] == ""
    assert read_status(again).deleted == read_status(two).deleted
    assert whole(again)


def test_the_log_says_how_many_images_a_generation_took_away(two):
    delete(two, [2, 8])
    assert [(one.generation_id, one.task, one.deleted) for one in read_generations(two)] == [
        (1, "birds", 0),
        (2, "cars", 0),
        (3, "cars", 2),
    ]


def test_only_images_of_the_asked_role_are_counted_as_learned_from(two):
    delete(two, [BIRD_QUERY])
    deleted = read_status(two).deleted
    assert (deleted.gallery, deleted.queries, deleted.categories) == (0, 1, 0)
    with WorkspaceReader(two) as reader:
        assert all(item.role is Role.GALLERY for item in reader.items(BIRD).values())
