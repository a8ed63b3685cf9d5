"""A refused generation through crashes, backups, purges and the loss of the catalogue."""

from __future__ import annotations

from contextlib import closing

import pytest

from continual_dml.errors import CatalogError
from storage.backup import back_up, restore
from storage.catalog.engine import Database
from storage.catalog.tables import Refusal
from storage.generations import read_generations
from storage.rebuild_catalogue import rebuild_catalogue, what_is_wrong
from storage.store import WorkspaceStore
from tests.storage.refused_tasks import QUIET, WHY, learn, live, on_disk, refuse, whole
from tests.storage.test_lost_catalogue import lose_catalogue, rows_of
from tests.storage.tiny_tasks import delete_images, publish_task


@pytest.mark.parametrize("step", ["rows-inserted", "before-commit", "committed", "collecting", "collected"])
def test_a_crash_leaves_all_of_it_or_nothing_and_the_live_one_where_it_is(small, crash_at, step):
    with WorkspaceStore(small) as store:
        crash = crash_at(step)  # not before: opening collects as well
        with pytest.raises(crash):
            publish_task(store, "noise", small.root.parent / "images", refusal=WHY)
    published = step in ("committed", "collecting", "collected")
    with WorkspaceStore(small) as store:
        assert store.warnings == []
        assert store.refusals() == ({2: WHY} if published else {})
    assert live(small)[0] == 1
    assert on_disk(small) == ([1, 2] if published else [1])
    assert whole(small)
    assert refuse(small).generation_id == 3


@pytest.mark.parametrize(("step", "expected"), [("before-commit", 1), ("committed", 2), ("collecting", 2)])
def test_a_crash_while_promoting_leaves_the_one_or_the_other_live(small, crash_at, step, expected):
    refuse(small)
    with WorkspaceStore(small) as store:
        crash = crash_at(step)
        with pytest.raises(crash):
            store.promote()
    assert live(small)[0] == expected
    with WorkspaceStore(small) as store:
        assert store.warnings == []
    assert on_disk(small) == [1, 2]
    assert whole(small)


def test_an_error_inside_the_commit_is_looked_up_before_anything_is_said(small, monkeypatch):
    from storage.catalog import publish

    def failing(connection, generation, *results):
        insert(connection, generation, *results)
        if failures:
            raise CatalogError(failures.pop())

    insert, failures = publish._insert_generation, ["the disk is full"]
    monkeypatch.setattr(publish, "_insert_generation", failing)
    with WorkspaceStore(small) as store:
        with pytest.raises(CatalogError, match="the disk is full"):
            publish_task(store, "noise", small.root.parent / "images", refusal=WHY)
        assert store.refusals() == {}, "its rows went with it"
        assert publish_task(store, "noise", small.root.parent / "images", refusal=WHY).generation_id == 3
        assert store.head().generation_id == 1


@pytest.mark.parametrize("learned", ["sqlite", "postgresql"], indirect=True)
def test_a_backup_takes_it_along(learned, tmp_path):
    refuse(learned)
    back_up(learned, tmp_path / "backup.tar", QUIET)

    again = restore(tmp_path / "backup.tar", tmp_path / "again", None, QUIET)

    assert read_generations(again) == read_generations(learned)
    assert live(again) == live(learned)
    assert whole(again)
    with WorkspaceStore(again) as store:
        assert store.promote().generation_id == 2


def test_a_lost_catalogue_comes_back_and_does_not_make_it_live(small):
    refuse(small)
    before, log = rows_of(small), read_generations(small)
    lose_catalogue(small)
    assert what_is_wrong(small) == "missing"

    assert rebuild_catalogue(small).generation_id == 1

    assert rows_of(small) == before
    assert read_generations(small) == log
    assert whole(small)
    with WorkspaceStore(small) as store:
        store.promote()
    lose_catalogue(small)
    assert rebuild_catalogue(small).generation_id == 1, "who promoted it told the catalogue alone"
    with WorkspaceStore(small) as store:
        store.promote()
    learn(small, "cars")
    before = rows_of(small)
    lose_catalogue(small)
    assert rebuild_catalogue(small).generation_id == 3, "nothing has refused what was built on it"
    assert rows_of(small) == before


def test_a_catalogue_that_can_still_tell_keeps_it_live(small):
    refuse(small)
    with WorkspaceStore(small) as store:
        store.promote()
    with closing(Database(small.database_url, read_only=False)) as database, database.transaction() as one:
        one.exec_driver_sql("UPDATE item SET category_id = 1 WHERE item_id = 6")
    assert what_is_wrong(small) == "wrong"
    assert rebuild_catalogue(small).generation_id == 2
    assert whole(small)


def test_where_nothing_else_is_whole_nothing_goes_live_until_somebody_says_so(small):
    refuse(small)
    lose_catalogue(small)
    (small.generation_dir(1) / "MANIFEST.json").write_bytes(b"{}")

    assert rebuild_catalogue(small) is None

    with WorkspaceStore(small) as store:
        assert store.head() is None
        assert store.promote().generation_id == 2
    assert live(small)[:2] == (2, ["birds", "noise"])


def test_a_refusal_that_is_lost_in_the_catalogue_is_noticed(small):
    refuse(small)
    with closing(Database(small.database_url, read_only=False)) as database, database.transaction() as one:
        one.execute(Refusal.__table__.delete())
    assert what_is_wrong(small) == "wrong"
    rebuild_catalogue(small)
    assert [one.refused for one in read_generations(small)] == [None, WHY]


def test_nothing_of_a_purged_image_stays_in_it(learned):
    refuse(learned)
    with WorkspaceStore(learned) as store:
        item = store.items([2])[2]
        delete_images(store, [2], purge=True)
        assert not store.held([2])
    assert on_disk(learned) == [3]
    for path in learned.generations_dir.rglob("*"):
        assert path.is_dir() or item.content_hash.encode() not in path.read_bytes()
    assert whole(learned)
