"""What a generation without vectors writes for its index, and what of it does not go live."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save

from continual_dml.errors import CorruptIndex, GalleryError, SelfTestFailed
from continual_dml.memory.feature_views import FeatureView
from continual_dml.records import Deletion, PartCount, VectorState, ViewPart
from continual_dml.workflows.gallery_files import items_file, map_file
from storage.index.flat_view import FILE_NAME, FlatViewIndex
from storage.store import WorkspaceStore
from tests.storage.viewed_galleries import (
    BIRDS,
    CARS,
    MAPS,
    check_answers,
    check_whole,
)
from tests.storage.viewed_tasks import features_of, view_of


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
