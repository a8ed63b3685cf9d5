"""A generation that its quality gate refused: it is there, it is not live, and somebody may let it."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from continual_dml.errors import CatalogError, CorruptIndex, UnknownChoice
from continual_dml.records import GalleryRefresh, PartCount, VectorState
from storage.catalog.postgres import CHANNEL
from storage.generations import read_generations
from storage.live_reader import LiveReader, unprepared
from storage.pgvector.tables import table_of
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.summary import live_generation, read_report, read_status, read_tasks
from storage.verification import verify
from storage.workspace import Workspace
from tests.storage.refused_tasks import QUIET, WHY, learn, live, on_disk, refuse, whole
from tests.storage.tiny_tasks import SMALL, on_circle, publish_task
from tests.storage.vector_tables import vector_tables


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


def test_the_interrupted_training_that_it_comes_from_is_not_kept_any_longer(small):
    with WorkspaceStore(small) as store:
        assert store.checkpoints("key").write({"weight": np.ones(2)}) is None
        assert small.checkpoint_file.exists()
        publish_task(store, "noise", small.root.parent / "images", refusal=WHY)
    assert not small.checkpoint_file.exists()


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
    with LiveReader(small, unprepared) as reader:
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


def test_a_refresh_that_was_refused_waits_like_a_task(learned):
    with WorkspaceStore(learned) as store:
        draft = store.begin("refresh of the gallery")
        parent = store.open_generation(store.head())
        ids = parent.open_index().ids
        for name in parent.names():
            if name not in (*parent.index_files, "report.json"):
                draft.inherit(name)
        draft.write_index(ids, on_circle(ids + 1))
        draft.write_json("report.json", {"generation": draft.generation_id})
        parts = [PartCount(1, VectorState.PROJECTED, len(ids))]
        draft.publish_refresh(GalleryRefresh(parts, (), WHY), {"settings": SMALL.as_dict()})

    assert live(learned) == (1, ["birds"], [1, 2, 3])
    assert on_disk(learned) == [1, 2]
    with WorkspaceStore(learned) as store:
        assert store.refusals() == {2: WHY}
        assert store.promote().generation_id == 2
    assert live(learned) == (2, ["birds"], [1, 2, 3])
    assert whole(learned)
