"""A view of features is the drift map and the head in one step."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.memory.discriminant_head import DiscriminantHead
from continual_dml.memory.drift import AffineMap
from continual_dml.memory.feature_views import FeatureView


def test_it_gives_the_vectors_of_the_drift_map_and_the_head() -> None:
    random = np.random.default_rng(0)
    drift = AffineMap(np.eye(20) + 0.1 * random.normal(size=(20, 20)), random.normal(size=20))
    head = DiscriminantHead(random.normal(size=(20, 5)), random.normal(size=20))
    features = random.normal(size=(300, 20)).astype(np.float16)
    view = FeatureView.of(head.affine.after(drift))
    in_two_steps = drift(features.astype(np.float64))
    np.testing.assert_allclose(view(features), head(in_two_steps), rtol=0, atol=1e-7)
    lengths = np.linalg.norm((in_two_steps - head.centre) @ head.projection, axis=1)
    np.testing.assert_allclose(view.norms(features), lengths, rtol=1e-6)


def test_one_pass_sees_vectors_their_lengths_and_the_longest_feature() -> None:
    random = np.random.default_rng(1)
    view = FeatureView(random.normal(size=(5, 20)), random.normal(size=5))
    features = random.normal(size=(5000, 20)).astype(np.float16)
    vectors, lengths = view.with_lengths(features)
    np.testing.assert_allclose(vectors, view(features), rtol=0, atol=1e-7)
    np.testing.assert_array_equal(lengths.norms, view.norms(features))
    longest = np.linalg.norm(features.astype(np.float64), axis=1).max()
    assert lengths.longest == pytest.approx(longest, rel=1e-12)


def test_what_is_mapped_to_zero_stays_zero_in_one_pass() -> None:
    vectors, lengths = FeatureView(np.zeros((2, 3)), np.zeros(2)).with_lengths(np.ones((1, 3)))
    assert (vectors.tolist(), lengths.norms.tolist()) == ([[0.0, 0.0]], [0.0])


@settings(max_examples=30, deadline=None)
@given(
    width=st.integers(1, 70),
    dimension=st.integers(1, 40),
    count=st.integers(1, 500),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_feature_has_the_same_vector_whatever_stands_beside_it(
    width: int, dimension: int, count: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    view = FeatureView(random.normal(size=(dimension, width)), random.normal(size=dimension))
    features = random.normal(size=(count, width)).astype(np.float16)
    order = random.permutation(count)
    few = order[: random.integers(1, count + 1)]
    assert np.array_equal(view(features)[few], view(features[few]))
    np.testing.assert_allclose(view.norms(features)[few], view.norms(features[few]), rtol=1e-6)


def test_many_features_have_the_vectors_that_each_has_alone() -> None:
    random = np.random.default_rng(1)
    features = (50 + random.normal(size=(6000, 64))).astype(np.float16)
    matrix = random.normal(size=(32, 64))
    view = FeatureView(matrix, -matrix @ features[0].astype(np.float64) + 1e-6)  # takes most of it away
    alone = np.concatenate([view(features[row : row + 1]) for row in range(6000)])
    assert np.array_equal(view(features), alone)
    by_product = features.astype(np.float64) @ view.matrix.T + view.offset
    in_that_order = (by_product / np.linalg.norm(by_product, axis=1, keepdims=True)).astype(np.float32)
    assert not np.array_equal(in_that_order, alone), "else the order of summing changes nothing here"


def test_how_arrays_lie_in_memory_changes_nothing() -> None:
    random = np.random.default_rng(2)
    matrix, offset = random.normal(size=(9, 33)), random.normal(size=9)
    features = random.normal(size=(300, 33)).astype(np.float16)
    vectors = FeatureView(matrix, offset)(features)
    for some in (slice(0, 300), slice(0, 7)):
        other = FeatureView(np.asfortranarray(matrix), offset)(np.asfortranarray(features[some]))
        assert np.array_equal(other, vectors[some])


def test_what_is_mapped_to_zero_stays_zero_and_has_no_length() -> None:
    view = FeatureView(np.eye(2), np.array([-1.0, 0.0]))
    features = np.array([[1.0, 0.0], [1.0, 2.0]], dtype=np.float16)
    assert view(features).tolist() == [[0.0, 0.0], [0.0, 1.0]]
    assert view.norms(features).tolist() == [0.0, 2.0]


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_feature_that_is_not_finite_has_no_finite_length(broken: float) -> None:
    features = np.array([[broken, 0.0], [1.0, 2.0]], dtype=np.float16)
    norms = FeatureView(np.eye(2), np.zeros(2)).norms(features)
    assert not np.isfinite(norms[0])
    assert norms[1] == np.float32(np.sqrt(5))


def test_the_faster_way_differs_by_a_last_bit_at_most() -> None:
    random = np.random.default_rng(5)
    view = FeatureView(random.normal(size=(8, 40)), random.normal(size=8))
    features = random.normal(size=(5000, 40)).astype(np.float16)
    assert np.abs(view.nearly(features) - view(features)).max() <= 2.0**-23
