"""Heads of single networks and of cohorts: cosines are means of cosines, reductions keep the most of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from continual_dml.memory.discriminant_head import unit_rows
from continual_dml.strategies.heads import EnsembleHead, TrainedHead, fit_reduction, joined_head

CORNER = np.eye(2, dtype=np.float32)


def random_head(seed: int, features: int, dimension: int) -> TrainedHead:
    weight = np.random.default_rng(seed).normal(size=(dimension, features)).astype(np.float32)
    return TrainedHead(weight, square_root=False)


def test_a_trained_head_is_the_projection_at_unit_length() -> None:
    head = TrainedHead(np.array([[3.0, 0.0], [0.0, 4.0]], dtype=np.float32), square_root=False)
    assert np.allclose(head(np.array([[1.0, 1.0], [2.0, 0.0]])), [[0.6, 0.8], [1.0, 0.0]])


def test_a_trained_head_undoes_the_signed_root_that_stored_features_have() -> None:
    head = TrainedHead(CORNER, square_root=True)
    pooled = np.array([[9.0, -16.0]])
    stored = np.sign(pooled) * np.sqrt(np.abs(pooled))
    assert stored.tolist() == [[3.0, -4.0]]
    assert np.allclose(head(stored), unit_rows(pooled))


@given(st.integers(0, 2**32 - 1), st.integers(2, 4))
def test_cosines_of_the_ensemble_are_means_of_its_members_cosines(seed: int, members: int) -> None:
    widths = [3 + number for number in range(members)]
    heads = [random_head(seed + number, width, 4) for number, width in enumerate(widths)]
    features = np.random.default_rng(seed).normal(size=(5, sum(widths)))
    whole = EnsembleHead(tuple(heads), tuple(widths))(features)
    cosines, start = [], 0
    for head, width in zip(heads, widths, strict=True):
        own = head(features[:, start : start + width])
        cosines.append(own @ own.T)
        start += width
    assert whole.shape == (5, 4 * members)
    assert np.allclose(whole @ whole.T, np.mean(cosines, axis=0), atol=1e-5)


def test_a_cohort_of_one_has_its_members_own_head() -> None:
    head = random_head(0, 3, 2)
    assert joined_head([head], [3], None) is head


def test_a_feature_of_the_wrong_length_is_no_silent_answer() -> None:
    ensemble = EnsembleHead((random_head(0, 3, 2), random_head(1, 3, 2)), (3, 3))
    with pytest.raises(ValueError, match="matmul"):
        ensemble(np.ones((1, 7)))


def test_a_reduction_keeps_inner_products_as_well_as_the_singular_vectors_do() -> None:
    random = np.random.default_rng(3)
    vectors, weights = random.normal(size=(7, 6)), np.arange(1, 8)
    reduced = vectors @ fit_reduction(vectors, weights, 3)
    repeated = np.repeat(vectors, weights, axis=0)  # as many rows as there are images behind each vector
    left, sizes, axes = np.linalg.svd(repeated, full_matrices=False)
    best = (left[:, :3] * sizes[:3]) @ axes[:3]
    whole = repeated @ repeated.T
    kept = np.repeat(reduced, weights, axis=0)
    error = np.linalg.norm(kept @ kept.T - whole)
    assert error == pytest.approx(np.linalg.norm(best @ best.T - whole))
    assert error == pytest.approx(np.sqrt((sizes[3:] ** 4).sum()))  # Eckart and Young


def test_reduced_axes_are_orthonormal_and_as_wide_as_asked_for() -> None:
    vectors = np.random.default_rng(0).normal(size=(4, 6))  # fewer vectors than axes
    for width in (2, 5, 6):
        axes = fit_reduction(vectors, np.ones(4), width)
        assert axes.shape == (6, width)
        assert np.allclose(axes.T @ axes, np.eye(width), atol=1e-12)
    assert fit_reduction(vectors, np.ones(4), 9).shape == (6, 6), "there are no more than D directions"


def test_a_reduction_to_the_span_of_the_vectors_loses_nothing() -> None:
    vectors = np.random.default_rng(1).normal(size=(3, 6))
    reduced = vectors @ fit_reduction(vectors, np.ones(3), 3)
    assert np.allclose(reduced @ reduced.T, vectors @ vectors.T)


def test_a_reduced_ensemble_gives_unit_vectors_of_the_reductions_width() -> None:
    heads = (random_head(0, 3, 4), random_head(1, 2, 4))
    features = np.random.default_rng(2).normal(size=(6, 5))
    whole = EnsembleHead(heads, (3, 2))(features)
    reduced = EnsembleHead(heads, (3, 2), fit_reduction(whole, np.ones(6), 4))(features)
    assert reduced.shape == (6, 4)
    assert np.allclose(np.linalg.norm(reduced, axis=1), 1, atol=1e-6)
