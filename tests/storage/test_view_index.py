"""A generation without vectors: its index computes them from features that were written once and for all."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from continual_dml.errors import CorruptIndex, GalleryError, SelfTestFailed
from continual_dml.memory.feature_views import FeatureView
from continual_dml.ports import SilentListener
from continual_dml.records import Deletion, PartCount, VectorState, ViewPart
from continual_dml.workflows.delete_items import delete_items
from continual_dml.workflows.gallery_files import items_file, map_file, stored_parts, vectors_file
from continual_dml.workflows.rebuild_index import rebuild_index
from storage import proven_files
from storage.backup import back_up, restore
from storage.index.flat import FlatIndex
from storage.index.flat_view import FILE_NAME, KIND, FlatViewIndex
from storage.live_reader import LiveReader, unprepared
from storage.proven_files import is_proven
from storage.reader import WorkspaceReader
from storage.repair import index_is_damaged
from storage.store import WorkspaceStore
from storage.summary import read_status
from storage.verification import verify
from storage.workspace import Workspace
from tests.storage.tiny_tasks import SMALL
from tests.storage.viewed_tasks import features_of, publish_gallery, vectors_of, view_of

QUIET = SilentListener()
BIRDS, CARS, MAPS = np.arange(1, 7), np.arange(8, 14), np.arange(15, 21)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Birds (items 1 to 6) and cars (8 to 13), both with vectors, then maps (15 to 20) with views of all."""
    folder = tmp_path_factory.mktemp("view")
    workspace = Workspace.create(folder / "three", SMALL, keep_generations=3)
    with WorkspaceStore(workspace) as store:
        for name in ("birds", "cars", "maps"):
            publish_gallery(store, name, folder / name, view=name == "maps")
    return workspace


@pytest.fixture
def three(template, tmp_path):
    """A workspace of its own, which shares the files that are never written again."""

    def taken(source, target):
        (os.link if "gen" in Path(source).parts else shutil.copy2)(source, target)

    shutil.copytree(template.root, tmp_path / "three", copy_function=taken)
    return Workspace.open(tmp_path / "three")


def explicit(born, generation):
    """The gallery of ``generation`` with its vectors."""
    ids = np.concatenate([*born.values()]).astype(np.int64)
    vectors = np.concatenate([vectors_of(own, birth, generation) for birth, own in born.items()])
    return FlatIndex.build(ids, vectors)


def check_answers(workspace, born, generation=3):
    """Every answer is the one of vectors that nobody has written."""
    expected = explicit(born, generation)
    random = np.random.default_rng(0)
    queries = random.normal(size=(30, 4)).astype(np.float32)
    queries[:20] /= np.linalg.norm(queries[:20], axis=1, keepdims=True)
    with WorkspaceReader(workspace) as reader:
        index = reader.index()
    assert len(index) == len(expected)
    for few in (1, 5, 100):
        found, best = index.search(queries, few), expected.search(queries, few)
        assert np.array_equal(found.ids, best.ids)
        np.testing.assert_allclose(found.similarities, best.similarities, rtol=0, atol=1e-6)
    chosen = np.append(expected.ids[1::2], 1000)
    found, best = (one.among(chosen).search(queries, 4) for one in (index, expected))
    assert np.array_equal(found.ids, best.ids)


def check_whole(workspace):
    assert verify(workspace, deep=True, listener=QUIET).problems == []


def files(workspace, generation):
    return {path.name: path for path in workspace.generation_dir(generation).iterdir()}


def kind_of(workspace):
    return read_status(workspace).index.kind


def change_index(workspace, kind):
    text = workspace.settings_file.read_text()
    workspace.settings_file.write_text(text.replace('index = "flat"', f'index = "{kind}"'))
    return Workspace.open(workspace.root)


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


def damage(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.unlink()  # other generations may share the file
    path.write_bytes(bytes(content))


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


@pytest.fixture
def draft(three):
    """A draft after ``three`` that has all files of its parent but the index."""
    with WorkspaceStore(three) as store:
        draft = store.begin("more")
        for name in store.open_generation(store.head()).names():
            if name != FILE_NAME:
                draft.inherit(name)
        yield draft
        draft.abandon()


PARTS = [ViewPart(items_file(birth), map_file(birth)) for birth in (1, 2, 3)]


def publish_as_it_is(draft):
    counts = [PartCount(birth, VectorState.PROJECTED, 6) for birth in (1, 2, 3)]
    return draft.publish_deletion(Deletion((), counts, purged=False), {})


def seen_lengths(birth, order=slice(None)):
    ids = {1: BIRDS, 2: CARS, 3: MAPS}[birth]
    return view_of(birth, 3).with_lengths(features_of(ids)[order])[1]


def test_norms_of_other_features_do_not_go_live(draft):
    backwards = slice(None, None, -1)
    parts = [replace(part, lengths=seen_lengths(birth, backwards)) for birth, part in enumerate(PARTS, 1)]
    draft.write_view_index(parts)
    with pytest.raises(CorruptIndex, match="does not belong"):
        publish_as_it_is(draft)


@pytest.mark.parametrize("given", [True, False], ids=["seen on the way", "kept by the generation before"])
def test_norms_that_are_known_are_not_computed_again(three, draft, monkeypatch, given):
    def compute(self, features):
        raise AssertionError("computed again")

    parts = [replace(part, lengths=seen_lengths(birth)) for birth, part in enumerate(PARTS, 1)]
    monkeypatch.setattr(FeatureView, "norms", compute)
    draft.write_view_index(parts if given else PARTS)
    monkeypatch.undo()
    publish_as_it_is(draft)
    check_answers(three, {1: BIRDS, 2: CARS, 3: MAPS})
    check_whole(three)


def test_a_gallery_that_is_not_whole_does_not_go_live(draft):
    draft.write_view_index(PARTS[:2])
    with pytest.raises(SelfTestFailed, match="12 items"):
        publish_as_it_is(draft)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([PARTS[0], PARTS[0]], "stands twice"),
        ([ViewPart(items_file(7), map_file(1))], "not written yet"),
        ([], "0 shapes"),
    ],
)
def test_parts_that_cannot_be_searched_are_refused(draft, parts, message):
    with pytest.raises(GalleryError, match=message):
        draft.write_view_index(parts)


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (FeatureView(np.zeros((4, 12)), np.zeros(4)), "6 vectors have no length"),
        (FeatureView(np.full((4, 12), 1e300), np.zeros(4)), "no length"),
        (FeatureView(np.full((4, 12), np.inf), np.zeros(4)), "not finite"),
        (FeatureView(np.eye(4), np.zeros(4)), "do not fit together"),
        (FeatureView(np.eye(4, 12), np.zeros(3)), "do not fit together"),
    ],
)
def test_maps_that_give_no_vectors_are_refused(draft, view, message):
    draft.write_tensors("map-00000009.safetensors", {"matrix": view.matrix, "offset": view.offset})
    with pytest.raises(GalleryError, match=message):
        draft.write_view_index([ViewPart(items_file(1), "map-00000009.safetensors")])


def test_features_that_are_not_finite_are_refused(draft):
    features = features_of(BIRDS)
    features[2, 3] = np.inf
    draft.write_tensors("items-00000009.safetensors", {"ids": BIRDS.astype(np.int64), "features": features})
    with pytest.raises(GalleryError, match="not finite"):
        draft.write_view_index([ViewPart("items-00000009.safetensors", map_file(1))])


def test_content_that_does_not_fit_is_refused_whatever_its_hash():
    ids, view = np.arange(3, dtype=np.int64), view_of(1, 1)
    features = features_of(ids)
    whole = [
        {"norms": view.norms(features), "longest": np.array([9.0])},
        {"ids": ids, "features": features},
        {"matrix": view.matrix, "offset": view.offset},
    ]
    queries = np.ones((1, 4), dtype=np.float32)

    def opened(*changed, proven=True, drop=0):
        documents = [dict(one) for one in whole]
        for place, name, array in changed:
            documents[place][name] = array
        contents = [save({name: np.asarray(a) for name, a in one.items()}) for one in documents]
        return FlatViewIndex.from_buffers(contents[: len(contents) - drop], proven=proven)

    assert opened().search(queries, 2).ids.shape == (1, 2)
    for changed in (
        (0, "norms", np.ones(4, dtype=np.float32)),
        (0, "norms", np.ones(3)),
        (0, "longest", np.ones(2)),
        (0, "longest", np.array(1.0)),
        (1, "ids", np.ones((3, 1), dtype=np.int64)),
        (1, "ids", np.arange(3, dtype=np.float32)),
        (1, "features", features.astype(np.float32)),
        (1, "features", features[:, :5]),
        (1, "features", features[:2]),
        (2, "matrix", view.matrix.astype(np.float32)),
        (2, "matrix", view.matrix[0]),
        (2, "offset", view.offset[:3]),
    ):
        with pytest.raises(CorruptIndex):
            opened(changed)
    for changed in (
        (0, "norms", np.zeros(3, dtype=np.float32)),
        (0, "longest", np.array([np.nan])),
        (1, "ids", np.zeros(3, dtype=np.int64)),
        (2, "matrix", np.full_like(view.matrix, np.nan)),
    ):
        with pytest.raises(CorruptIndex):
            opened(changed, proven=False)
    for dropped in (1, 2):
        with pytest.raises(CorruptIndex):
            opened(drop=dropped)
    broken = features.copy()
    broken[0] = np.nan
    with pytest.raises(CorruptIndex, match="not finite"):
        opened((1, "features", broken)).search(queries, 3)
    with pytest.raises(CorruptIndex, match="does not belong"):
        opened((1, "features", broken)).prove()
    with pytest.raises(CorruptIndex, match="does not belong"):
        opened((0, "longest", np.array([0.1]))).prove()
