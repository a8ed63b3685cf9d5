"""A generation without vectors: its index computes them from features that were written once and for all."""

from __future__ import annotations

import numpy as np
import pytest

from continual_dml.errors import CorruptIndex
from continual_dml.workflows.delete_items import delete_items
from continual_dml.workflows.gallery_files import items_file, map_file, stored_parts, vectors_file
from continual_dml.workflows.rebuild_index import rebuild_index
from storage import proven_files
from storage.backup import back_up, restore
from storage.index.flat_view import FILE_NAME, KIND
from storage.live_reader import LiveReader, unprepared
from storage.proven_files import is_proven
from storage.reader import WorkspaceReader
from storage.repair import index_is_damaged
from storage.store import WorkspaceStore
from storage.summary import read_status
from storage.verification import verify
from tests.storage.viewed_galleries import (
    BIRDS,
    CARS,
    MAPS,
    QUIET,
    change_index,
    check_answers,
    check_whole,
    damage,
    files,
    kind_of,
)
from tests.storage.viewed_tasks import features_of, publish_gallery, vectors_of


def test_it_answers_as_an_index_of_the_vectors_that_were_not_written(three):
    check_answers(three, {1: BIRDS, 2: CARS, 3: MAPS})
    check_whole(three)
    status = read_status(three)
    assert (status.index.kind, status.index.recall_at_10, status.gallery.indexed) == (KIND, None, 18)


def test_it_writes_maps_and_norms_and_what_is_new_and_takes_features_over(three):
    before, after = files(three, 2), files(three, 3)
    for birth in (1, 2):
        assert before[items_file(birth)].stat().st_ino == after[items_file(birth)].stat().st_ino
    known = {path.stat().st_ino for path in before.values()}
    written = {name for name, path in after.items() if path.stat().st_ino not in known}
    assert {name for name in written if name.endswith(".safetensors")} == {
        items_file(3), map_file(1), map_file(2), map_file(3), FILE_NAME,
    }  # fmt: skip
    assert not {vectors_file(birth) for birth in (1, 2, 3)} & {*after}
    assert after[FILE_NAME].stat().st_size < 300 + 4 * 18 + 8 * 3


def test_parts_have_their_vectors_whether_they_are_written_or_computed(three):
    with WorkspaceStore(three) as store:
        parents = [store.open_generation(store.head())]
        store.rollback(2)
        parents.append(store.open_generation(store.head()))
    for artefacts, generation in zip(parents, (3, 2), strict=True):
        parts = list(stored_parts(artefacts, artefacts.read_json("report.json")))
        assert [part.birth_generation for part in parts] == list(range(1, generation + 1))
        for part in parts:
            expected = vectors_of(part.ids, part.birth_generation, generation)
            assert np.array_equal(part.vectors, expected)
            assert np.array_equal(part.loaded().features, features_of(part.ids))
            assert part.computed == (generation == 3)


def test_it_can_follow_and_be_followed_by_a_generation_with_vectors(three, tmp_path):
    with WorkspaceStore(three) as store:
        publish_gallery(store, "tools", tmp_path / "tools", view=False)
    tools = np.arange(22, 28)
    check_answers(three, {1: BIRDS, 2: CARS, 3: MAPS, 4: tools}, 4)
    assert kind_of(three) == "flat"
    with WorkspaceStore(three) as store:
        store.rollback(3)
        check_answers(three, {1: BIRDS, 2: CARS, 3: MAPS})
        publish_gallery(store, "towns", tmp_path / "towns", view=True)
    assert kind_of(three) == KIND
    check_answers(three, {1: BIRDS, 2: CARS, 3: MAPS, 5: np.arange(29, 35)}, 5)
    check_whole(three)


def test_a_reader_that_follows_takes_it_over(three, tmp_path):
    with WorkspaceStore(three) as store:
        store.rollback(2)
    with LiveReader(three, unprepared) as reader:
        with WorkspaceStore(three) as store:
            store.rollback(3)
        assert reader.refresh()
        with reader.snapshot() as snapshot, WorkspaceStore(three, 1) as store:
            publish_gallery(store, "tools", tmp_path / "tools", view=True)
            assert snapshot.index.search(vectors_of(MAPS[:1], 3, 3), 1).ids.tolist() == [[15]]
        assert reader.refresh()
        assert reader.health.problem is None


def test_a_reader_opens_it_though_its_files_are_gone_meanwhile(three, tmp_path):
    with WorkspaceReader(three) as reader:
        with WorkspaceStore(three, 1) as store:
            publish_gallery(store, "tools", tmp_path / "tools", view=True)
        for path in three.generation_dir(3).iterdir():
            path.unlink()
        assert reader.index().search(vectors_of(CARS[:2], 2, 3), 1).ids.tolist() == [[8], [9]]


def test_all_files_that_it_reads_are_hashed_once(three, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(proven_files, "SETTLED_SECONDS", -1.0)
    with WorkspaceReader(three) as reader:
        reader.index()
        found = reader.artefacts.manifest
        names = (found.index.file, *found.index.reads)
        assert len(names) == 7
        for name in names:
            with reader.artefacts.path(name).open("rb") as stream:
                assert is_proven(stream.fileno(), found.files[name].sha256)
    check_answers(three, {1: BIRDS, 2: CARS, 3: MAPS})


@pytest.mark.parametrize("purge", [False, True])
def test_deleting_writes_smaller_files_of_what_has_changed_and_no_vectors(three, purge):
    gone = features_of(np.array([9])).tobytes()
    with WorkspaceStore(three) as store:
        number = delete_items([3, 9, 10], store, purge=purge).generation_id
    assert kind_of(three) == KIND
    check_answers(three, {1: BIRDS[[0, 1, 3, 4, 5]], 2: CARS[[0, 3, 4, 5]], 3: MAPS})
    check_whole(three)
    found = files(three, number)
    assert not any(name.startswith("vectors") for name in found)
    content = b"".join(path.read_bytes() for path in three.root.rglob("*") if path.is_file())
    assert (gone in content) == (not purge)
    if not purge:
        for name in (items_file(3), *map(map_file, (1, 2, 3))):
            assert found[name].stat().st_ino == files(three, 3)[name].stat().st_ino


def test_what_is_deleted_as_a_whole_leaves_no_part(three):
    with WorkspaceStore(three) as store:
        number = delete_items([*BIRDS.tolist(), 9], store, purge=False).generation_id
    assert not {items_file(1), map_file(1)} & {*files(three, number)}
    check_answers(three, {2: CARS[[0, 2, 3, 4, 5]], 3: MAPS})
    with WorkspaceStore(three) as store:
        delete_items([*CARS[[0, 2, 3, 4, 5]].tolist(), *MAPS.tolist()], store, purge=False)
    with WorkspaceReader(three) as reader:
        assert reader.index().search(np.ones((1, 4), dtype=np.float32), 3).ids.shape == (1, 0)
    check_whole(three)


def test_deleting_queries_alone_takes_the_index_over(three):
    with WorkspaceStore(three) as store:
        number = delete_items([7], store, purge=False).generation_id
    assert files(three, number)[FILE_NAME].stat().st_ino == files(three, 3)[FILE_NAME].stat().st_ino
    check_answers(three, {1: BIRDS, 2: CARS, 3: MAPS})


def test_a_generation_with_vectors_can_be_made_of_it(three):
    with WorkspaceStore(three) as store:
        number = rebuild_index(store, with_vectors=True).generation_id
    assert kind_of(three) == "flat"
    found = files(three, number)
    assert {vectors_file(birth) for birth in (1, 2, 3)} <= {*found}
    assert not {FILE_NAME, *map(map_file, (1, 2, 3))} & {*found}
    check_answers(three, {1: BIRDS, 2: CARS, 3: MAPS})
    with WorkspaceStore(three) as store:
        delete_items([2], store, purge=False)
    check_answers(three, {1: BIRDS[[0, 2, 3, 4, 5]], 2: CARS, 3: MAPS})
    check_whole(three)


def test_another_kind_of_index_is_built_of_it_where_the_settings_ask_for_one(three):
    changed = change_index(three, "hnsw")
    with WorkspaceStore(changed) as store:
        delete_items([7], store, purge=False)
    assert kind_of(changed) == "hnsw"
    check_answers(changed, {1: BIRDS, 2: CARS, 3: MAPS})
    with WorkspaceStore(changed) as store:
        store.rollback(3)
        rebuild_index(store)
    assert kind_of(changed) == "hnsw"
    check_whole(changed)


@pytest.mark.parametrize("name", [FILE_NAME, items_file(1), map_file(2)])
@pytest.mark.parametrize("harm", [damage, lambda path: path.unlink()], ids=["damaged", "missing"])
def test_damage_of_any_file_is_noticed(three, name, harm):
    harm(files(three, 3)[name])
    with pytest.raises(CorruptIndex, match=f"{name}|not whole"), WorkspaceReader(three) as reader:
        reader.index()
    assert any(
        name in problem or "not whole" in problem
        for problem in verify(three, deep=True, listener=QUIET).problems
    )


def test_norms_are_made_again_from_features_and_maps(three):
    damage(files(three, 3)[FILE_NAME])
    with WorkspaceStore(three, 1) as store:
        assert index_is_damaged(store, store.head())
        number = rebuild_index(store).generation_id
        assert not index_is_damaged(store, store.head())
    assert FILE_NAME in files(three, number)
    check_answers(three, {1: BIRDS, 2: CARS, 3: MAPS})
    check_whole(three)


@pytest.mark.parametrize("name", [items_file(1), map_file(2)])
def test_what_it_is_made_of_cannot_be_made_again(three, name):
    damage(files(three, 3)[name])
    with WorkspaceStore(three) as store:
        assert index_is_damaged(store, store.head())
        with pytest.raises(CorruptIndex, match=name):
            rebuild_index(store)
        assert store.head().generation_id == 3


def test_a_backup_brings_it_back(three, tmp_path):
    back_up(three, tmp_path / "backup.tar", QUIET)
    again = restore(tmp_path / "backup.tar", tmp_path / "again", None, QUIET)
    assert kind_of(again) == KIND
    check_answers(again, {1: BIRDS, 2: CARS, 3: MAPS})
    check_whole(again)
