"""A generation that its quality gate refused: it is there, it is not live, and somebody may let it."""

from __future__ import annotations

import shutil
from contextlib import closing

import pytest

from continual_dml.errors import CatalogError, CorruptIndex, UnknownChoice
from continual_dml.ports import SilentListener
from storage.backup import back_up, restore
from storage.catalog.engine import Database
from storage.catalog.postgres import CHANNEL
from storage.catalog.tables import Refusal
from storage.generations import read_generations
from storage.live_reader import LiveReader
from storage.pgvector.tables import table_of
from storage.reader import WorkspaceReader
from storage.rebuild_catalogue import rebuild_catalogue, what_is_wrong
from storage.store import WorkspaceStore
from storage.summary import live_generation, read_report, read_status, read_tasks
from storage.verification import verify
from storage.workspace import Workspace
from tests.storage.test_lost_catalogue import lose_catalogue, rows_of
from tests.storage.tiny_tasks import SMALL, delete_images, publish_task
from tests.storage.vector_tables import vector_tables

QUIET = SilentListener()
WHY = "recall is 0.100, below 0.400"


@pytest.fixture(params=["sqlite", "postgresql", "pgvector"])
def learned(request, tmp_path):
    """A workspace of each kind that has learned one task and keeps one generation."""
    on_server = request.param != "sqlite"
    url = request.getfixturevalue("new_database")() if on_server else None
    index = "pgvector" if request.param == "pgvector" else "flat"
    workspace = Workspace.create(tmp_path / "workspace", SMALL, url, index=index)
    with WorkspaceStore(workspace) as store:
        publish_task(store, "birds", tmp_path / "images")
    return workspace


@pytest.fixture
def small(tmp_path):
    """The same on SQLite alone."""
    workspace = Workspace.create(tmp_path / "workspace", SMALL)
    with WorkspaceStore(workspace) as store:
        publish_task(store, "birds", tmp_path / "images")
    return workspace


def refuse(workspace, name="noise", folder=None):
    with WorkspaceStore(workspace) as store:
        return publish_task(store, name, folder or workspace.root.parent / "images", refusal=WHY)


def learn(workspace, name):
    with WorkspaceStore(workspace) as store:
        return publish_task(store, name, workspace.root.parent / "images")


def live(workspace):
    """Number, tasks and images of what answers, checked on the way."""
    with WorkspaceReader(workspace) as reader:
        ids = sorted(reader.index().ids.tolist())
        assert sorted(reader.items(ids)) == ids
        return reader.generation.generation_id, [task.name for task in reader.tasks()], ids


def on_disk(workspace):
    return sorted(int(path.name) for path in workspace.generations_dir.iterdir())


def whole(workspace):
    return verify(workspace, deep=True, listener=QUIET).problems == []


def test_it_is_published_as_any_other_and_the_one_before_stays_live(learned):
    before = live(learned)

    refused = refuse(learned)

    assert (refused.generation_id, refused.parent_id) == (2, 1)
    assert live(learned) == before == (1, ["birds"], [1, 2, 3])
    assert [task.name for task in read_tasks(learned)] == ["birds"]
    assert read_status(learned).gallery.catalogued == 3
    assert (live_generation(learned), read_report(learned)["generation"]) == (1, 1)
    assert read_report(learned, "2")["generation"] == 2
    log = read_generations(learned)
    assert [(one.generation_id, one.live, one.in_lineage, one.kept, one.refused) for one in log] == [
        (1, True, True, True, None),
        (2, False, False, True, WHY),
    ]
    assert log[1].images == 6
    assert on_disk(learned) == [1, 2]
    assert whole(learned)
    for keep in (None, 1):
        with WorkspaceStore(learned, keep) as store:
            assert store.warnings == []
            assert store.head().generation_id == 1
            assert store.refusals() == {2: WHY}
    assert on_disk(learned) == [1, 2], "the next writer leaves it there"


def test_promoting_and_rolling_back_go_both_ways_until_something_is_published(learned):
    refuse(learned)
    for _ in range(2):
        with WorkspaceStore(learned) as store:
            with pytest.raises(CatalogError, match=r"refused generation 2 \(recall is .*cdml promote 2"):
                store.rollback(2)
            assert store.promote().generation_id == 2
            assert store.promote(2).generation_id == 2, "it is live already"
        assert live(learned) == (2, ["birds", "noise"], [1, 2, 3, 5, 6, 7])
        assert on_disk(learned) == [1, 2], "the way back stays open, although one generation is kept"
        with WorkspaceStore(learned) as store:
            assert store.rollback(1).generation_id == 1
        assert live(learned)[0] == 1
        assert on_disk(learned) == [1, 2]
        assert whole(learned)
    with WorkspaceStore(learned) as store:
        store.promote(2)
    learn(learned, "cars")
    assert live(learned)[:2] == (3, ["birds", "noise", "cars"])
    assert on_disk(learned) == [3]
    assert [(one.refused, one.in_lineage) for one in read_generations(learned)] == [
        (None, True),
        (WHY, True),
        (None, True),
    ]
    assert whole(learned)


def test_one_that_others_were_built_on_can_be_gone_back_to(small):
    refuse(small)
    with WorkspaceStore(small, kept_generations=3) as store:
        store.promote()
        publish_task(store, "cars", small.root.parent / "images")
        assert store.rollback(2).generation_id == 2
        with pytest.raises(CatalogError, match="`cdml rollback 3` makes it live again"):
            store.promote(3)


def test_the_same_images_can_be_learned_again_and_no_number_is_given_twice(learned):
    refused = refuse(learned)
    with WorkspaceStore(learned) as store:
        assert sorted(store.category_ids()) == ["birds"]
        ids = [item.item_id for item in store.items(range(1, 50)).values()]
        assert ids == [1, 2, 3, 4], "nothing of it is seen"
    again = refuse(learned)
    assert on_disk(learned) == [1, again.generation_id], "the newest of them is kept"
    final = learn(learned, "noise")
    assert (refused.generation_id, again.generation_id, final.generation_id) == (2, 3, 4)
    assert live(learned) == (4, ["birds", "noise"], [1, 2, 3, 13, 14, 15])
    assert on_disk(learned) == [4], "the next publication collects it"
    assert [one.generation_id for one in read_generations(learned)] == [1, 4]
    assert len(list(learned.queries_dir.rglob("*/*"))) == 2
    with WorkspaceStore(learned) as store:
        assert store.refusals() == {}
        with pytest.raises(CatalogError, match="has kept no generation back"):
            store.promote()
    assert whole(learned)


def test_vectors_in_the_database_go_with_its_files(there):
    publish_tasks = ("birds", None), ("noise", WHY), ("noise", WHY)
    with WorkspaceStore(there) as store:
        for name, refusal in publish_tasks:
            publish_task(store, name, there.root.parent / "images", refusal=refusal)
    assert vector_tables(there) == [table_of(1), table_of(3)]
    learn(there, "cars")
    assert vector_tables(there) == [table_of(4)]


def test_a_tag_keeps_it_and_it_can_be_promoted_by_that_name(learned):
    refuse(learned)
    with WorkspaceStore(learned) as store:
        store.tag("look", 2)
    learn(learned, "cars")
    assert on_disk(learned) == [2, 3]
    assert read_report(learned, "look")["generation"] == 2
    with WorkspaceStore(learned) as store:
        store.promote(store.resolve("look"))
    assert live(learned)[:2] == (2, ["birds", "noise"])
    assert on_disk(learned) == [2, 3], "what was live can come back"
    with WorkspaceStore(learned) as store:
        store.rollback(3)
    assert live(learned)[:2] == (3, ["birds", "cars"])
    assert whole(learned)


def test_a_first_task_that_is_refused_leaves_nothing_live_and_can_be_promoted(tmp_path):
    workspace = Workspace.create(tmp_path / "workspace", SMALL)
    refuse(workspace)
    assert read_status(workspace).generation is None
    assert on_disk(workspace) == [1]
    with pytest.raises(CatalogError, match="no task yet"), WorkspaceReader(workspace):
        pass
    with WorkspaceStore(workspace) as store:
        assert store.head() is None
        assert publish_task(store, "more noise", tmp_path / "images", refusal=WHY).parent_id is None
    assert on_disk(workspace) == [2]
    assert whole(workspace)
    with WorkspaceStore(workspace) as store:
        assert store.promote().generation_id == 2
    assert live(workspace)[:2] == (2, ["more noise"])
    assert learn(workspace, "birds").parent_id == 2


def test_what_was_not_refused_or_is_gone_cannot_be_promoted(small, tmp_path):
    with WorkspaceStore(small) as store:
        with pytest.raises(CatalogError, match="kept no generation back"):
            store.promote()
        with pytest.raises(UnknownChoice, match="unknown generation '7'"):
            store.promote(7)
        assert store.promote(1) == store.head(), "it is live: nothing to do"
    refuse(small)
    shutil.rmtree(small.generation_dir(2))
    with WorkspaceStore(small) as store:
        with pytest.raises(CatalogError, match="generation 2 are not kept any more"):
            store.promote(2)
        with pytest.raises(CatalogError, match="kept no generation back"):
            store.promote()
    with pytest.raises(CatalogError, match="generation 2 are not kept any more"):
        read_report(small, "2")
    with pytest.raises(UnknownChoice, match="unknown generation or tag '9'"):
        read_report(small, "9")
    assert live(small)[0] == 1


def test_one_that_is_damaged_does_not_go_live_and_verify_finds_it(small):
    refuse(small)
    victim = small.generation_dir(2) / "model.safetensors"
    content = bytearray(victim.read_bytes())
    content[-1] ^= 1
    victim.write_bytes(content)
    (problem,) = verify(small, deep=False, listener=QUIET).problems
    assert "model.safetensors" in problem
    with WorkspaceStore(small) as store, pytest.raises(CorruptIndex, match=r"model\.safetensors"):
        store.promote()
    assert live(small)[0] == 1


def test_who_follows_the_live_generation_never_loads_it_before_it_is_promoted(small):
    with LiveReader(small) as reader:
        refuse(small)
        assert reader.refresh() is False
        assert (reader.health.generation_id, reader.health.problem) == (1, None)
        with WorkspaceStore(small) as store:
            store.promote()
        assert reader.refresh() is True
        assert reader.health.generation_id == 2


def test_listeners_on_a_server_hear_of_it_when_it_goes_live(new_database, tmp_path):
    import psycopg

    url = new_database()
    workspace = Workspace.create(tmp_path / "workspace", SMALL, url)
    with psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True) as listener:
        listener.execute(f"LISTEN {CHANNEL}")
        learn(workspace, "birds")
        refuse(workspace)
        refuse(workspace)
        with WorkspaceStore(workspace) as store:
            store.promote()
        heard = [note.payload for note in listener.notifies(timeout=10, stop_after=2)]
    assert heard == ["1", "3"]


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
