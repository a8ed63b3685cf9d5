"""However an item is chosen, the answer is the one of comparing every query with every computed vector."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from continual_dml.errors import GalleryError
from continual_dml.memory.discriminant_head import SMALLEST_NORM
from continual_dml.memory.feature_views import FeatureView
from storage.index import half_products, view_search
from storage.index.flat_view import FlatViewIndex
from storage.index.half_products import inner_products
from storage.index.viewed_items import check_norms, longest_of
from tests.storage.viewed import both, explicit, items, random_parts, reference


@pytest.fixture(params=["with torch", "without torch"])
def engine(request, monkeypatch):
    """Each way in which features are multiplied."""
    import torch

    assert torch is sys.modules["torch"]
    if request.param == "without torch":
        monkeypatch.setattr(half_products, "exact_torch", lambda: None)


def check_exact(parts, queries, k):
    """Ids and similarities are bit for bit those of the vectors, ties included."""
    ids, vectors = explicit(parts)
    found = FlatViewIndex.build(parts).search(queries, k)
    expected_ids, expected = reference(ids, vectors, queries, k)
    assert np.array_equal(found.ids, expected_ids)
    assert np.array_equal(found.similarities, expected)


@settings(max_examples=80, deadline=None)
@given(
    births=st.integers(1, 6),
    most=st.integers(1, 120),
    width=st.integers(1, 40),
    dimension=st.integers(1, 16),
    scale=st.sampled_from([1e-10, 1e-3, 1.0, 1e5]),
    spread=st.sampled_from([1e-3, 1e-1, 1.0, 10.0]),
    length=st.sampled_from([1e-40, 1e-5, 1.0, 1e20]),
    k=st.integers(1, 200),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_answer_is_that_of_the_vectors(births, most, width, dimension, scale, spread, length, k, seed):
    random = np.random.default_rng(seed)
    parts = random_parts(random, births, most, width, dimension, scale=scale, spread=spread)
    assume(min(part.norms.min() for part in parts) >= SMALLEST_NORM)
    _, vectors = explicit(parts)
    others = length * random.normal(size=(3, dimension))
    queries = np.concatenate([vectors[:3], others, np.zeros((1, dimension))]).astype(np.float32)
    check_exact(parts, queries, k)


def test_the_answer_is_that_of_the_vectors_in_a_larger_gallery(engine, monkeypatch):
    monkeypatch.setattr(view_search, "_BLOCK_NUMBERS", 20_000)  # many blocks
    monkeypatch.setattr(view_search, "_FIRST_ROWS", 300)
    monkeypatch.setattr(view_search, "_QUERIES", 16)  # several groups
    monkeypatch.setattr(view_search, "_ROWS", 128)
    monkeypatch.setattr(half_products, "_CHUNK_NUMBERS", 5000)
    random = np.random.default_rng(0)
    parts = random_parts(random, 5, 4000, 48, 16)
    view, flat = both(parts)
    ids, vectors = explicit(parts)
    queries = vectors[random.integers(0, len(ids), 20)] + 0.1 * random.normal(size=(20, 16))
    queries = np.concatenate([queries, vectors[:20]]).astype(np.float32)
    for k in (1, 10, 500):
        check_exact(parts, queries, k)
    found, best = view.search(queries, 10), flat.search(queries, 10)
    np.testing.assert_allclose(found.similarities, best.similarities, rtol=0, atol=1e-6)
    chosen = random.permutation(ids)[: len(ids) // 2]
    rows = np.isin(ids, chosen)
    expected = reference(ids[rows], vectors[rows], queries, 10)
    assert np.array_equal(view.among(chosen).search(queries, 10).ids, expected[0])


def test_equal_features_are_as_similar_wherever_they_stand(engine):
    random = np.random.default_rng(1)
    view = FeatureView(random.normal(size=(6, 30)), random.normal(size=6))
    features = np.repeat(random.normal(size=(1, 30)), 5000, axis=0).astype(np.float16)
    ids = random.permutation(5000).astype(np.int64)
    cut = [0, 7, 200, 4400, 5000]
    parts = [items(ids[a:b], features[a:b], view) for a, b in pairwise(cut)]
    found = FlatViewIndex.build(parts).search(random.normal(size=(2, 6)).astype(np.float32), 60)
    assert np.array_equal(found.ids, np.tile(np.arange(60), (2, 1)))


def test_vectors_that_nearly_vanish_before_they_are_normalised_are_found(engine):
    # The offset takes away all but a billionth of each feature's image: in float32 nothing is left of it.
    random = np.random.default_rng(2)
    features = (100 + random.normal(size=(300, 8))).astype(np.float16)
    matrix = random.normal(size=(4, 8))
    parts = []
    for number in range(3):
        own = features[100 * number : 100 * (number + 1)]
        offset = -matrix @ own[0].astype(np.float64) + 1e-9 * random.normal(size=4)
        parts.append(items(np.arange(100 * number, 100 * (number + 1)), own, FeatureView(matrix, offset)))
    assert min(part.norms.min() for part in parts) < 1e-8
    _, vectors = explicit(parts)
    check_exact(parts, vectors[::25], 5)


def test_few_items_are_compared_exactly(monkeypatch):
    random = np.random.default_rng(3)
    parts = random_parts(random, 4, 4000, 64, 16)
    compared = []
    exact = view_search._Search._exact
    monkeypatch.setattr(
        view_search._Search, "_exact", lambda self, chosen: compared.extend(chosen) or exact(self, chosen)
    )
    FlatViewIndex.build(parts).search(random.normal(size=(20, 16)).astype(np.float32), 10)
    assert np.mean([len(one) for one in compared]) < 100


def test_a_search_among_a_few_reads_their_features_alone():
    random = np.random.default_rng(4)
    parts = random_parts(random, 2, 100, 10, 4)
    for part in parts:
        part.features[1:] = np.nan  # any of these would be refused
    first = np.array([part.ids[0] for part in parts])
    index = FlatViewIndex.build(parts).among(first)
    assert sorted(index.search(np.ones((1, 4), dtype=np.float32), 5).ids[0]) == sorted(first)


def test_products_of_half_numbers_are_those_of_wide_ones(engine):
    random = np.random.default_rng(5)
    features = random.normal(size=(700, 33)).astype(np.float16)
    features.flags.writeable = False  # as in a mapped file
    weights = random.normal(size=(4, 33)).astype(np.float32)
    rows = random.integers(0, 700, 300)
    for few in (1, 4):
        true = weights[:few].astype(np.float64) @ features.astype(np.float64).T
        found = inner_products(features, slice(10, 650), weights[:few])
        np.testing.assert_allclose(found, true[:, 10:650], rtol=0, atol=1e-4)
        found = inner_products(features, rows, weights[:few])
        np.testing.assert_allclose(found, true[:, rows], rtol=0, atol=1e-4)
    assert inner_products(features, slice(5, 5), weights).shape == (4, 0)


def test_products_stay_in_float32_where_torch_is_told_to_be_less_exact():
    import torch

    features = np.random.default_rng(6).normal(size=(600, 512)).astype(np.float16)
    weights = features[:50].astype(np.float32)
    true = weights.astype(np.float64) @ features.astype(np.float64).T
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        loose = inner_products(features, slice(0, 600), weights)
    finally:
        torch.set_float32_matmul_precision(before)
    with torch.autocast("cpu"):
        cast = inner_products(features, slice(0, 600), weights)
    for found in (loose, cast):
        np.testing.assert_allclose(found, true, rtol=0, atol=1e-3)


def test_kept_norms_and_lengths_are_compared_with_the_features(monkeypatch):
    random = np.random.default_rng(7)
    features = random.normal(size=(5000, 6)).astype(np.float16)
    part = items(np.arange(5000), features, FeatureView(random.normal(size=(3, 6)), np.ones(3)))
    check_norms([part])
    longer = np.linalg.norm(features.astype(np.float64), axis=1).max()
    assert longer <= longest_of(features) < 1.0001 * longer
    norms = part.norms.copy()
    norms[4500] *= 1.00001
    with pytest.raises(GalleryError, match="item 4500"):
        check_norms([replace(part, norms=norms)])  # every other item is looked at
    with pytest.raises(GalleryError, match="norms"):
        check_norms([replace(part, longest=longer / 2)])


def test_of_norms_that_nearly_vanish_no_more_is_asked_than_float64_can_give():
    random = np.random.default_rng(8)
    features = np.tile(100 + random.normal(size=8), (5000, 1)).astype(np.float16)
    matrix = random.normal(size=(4, 8))
    offset = -matrix @ features[0].astype(np.float64) + 1e-11
    part = items(np.arange(5000), features, FeatureView(matrix, offset))
    assert part.norms.max() < 1e-10
    check_norms([part])
    check_norms([replace(part, norms=part.norms * np.float32(1.001))])
