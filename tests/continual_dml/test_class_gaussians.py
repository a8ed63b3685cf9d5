"""Classes as Gaussians: distances, likelihoods and samples, against covariances written out in full."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.errors import DimensionMismatch, SettingsError, UnknownChoice
from continual_dml.memory import class_gaussians
from continual_dml.memory.class_gaussians import ClassGaussians
from continual_dml.memory.class_statistics import ClassStatistics, measure_classes
from continual_dml.memory.drift import AffineMap, DriftFit

DIMENSION = 5
COUNTS = st.dictionaries(st.integers(0, 30), st.integers(1, 7), min_size=1, max_size=4)


def measured(counts: dict[int, int], seed: int, rank: int) -> ClassStatistics:
    random = np.random.default_rng(seed)
    labels = np.repeat(list(counts), list(counts.values())).astype(np.int64)
    shapes = {label: random.normal(size=(DIMENSION, DIMENSION)) for label in counts}
    features = [10 + random.normal(size=DIMENSION) @ shapes[label] for label in labels]
    wide = np.array(features, dtype=np.float32)
    return measure_classes(wide, wide[:, :2], labels, 0, rank)


def covariances(statistics: ClassStatistics, prior: float, isotropic: float) -> list[np.ndarray]:
    """The model in full: one (F, F) matrix for each class."""
    classes = len(statistics.counts)
    freedom = statistics.counts.sum() - classes
    usual = np.trace(statistics.scatter) / max(freedom, 1) / DIMENSION
    shared = (statistics.scatter + isotropic * usual * np.eye(DIMENSION)) / (freedom + isotropic)
    found = []
    for position, (rest, count) in enumerate(zip(statistics.factors.rests, statistics.counts, strict=True)):
        wide = statistics.factors.of_class(position).astype(np.float64)
        own = wide.T @ wide + rest * shared / np.trace(shared)
        found.append((prior * shared + own) / (prior + count - 1))
    return found


@settings(deadline=None)
@given(
    COUNTS, st.integers(0, 99), st.integers(0, 6), st.sampled_from([1.0, 30.0]), st.sampled_from([0.5, 50.0])
)
def test_distances_and_likelihoods_are_those_of_full_covariances(counts, seed, rank, prior, isotropic):
    statistics = measured({**counts, 99: 4}, seed, rank)
    gaussians = ClassGaussians.from_statistics(statistics, prior_images=prior, isotropic_images=isotropic)
    asked = np.random.default_rng(seed + 1).normal(10, 3, size=(3, DIMENSION)).astype(np.float32)
    distances, likelihoods = gaussians.squared_distances(asked), gaussians.log_likelihoods(asked)
    for c, covariance in enumerate(covariances(statistics, prior, isotropic)):
        for n, point in enumerate(asked.astype(np.float64)):
            away = point - statistics.means[c]
            expected = away @ np.linalg.solve(covariance, away)
            assert np.isclose(distances[n, c], expected, rtol=1e-3, atol=1e-3)
            constant = np.linalg.slogdet(covariance)[1] + DIMENSION * np.log(2 * np.pi)
            assert np.isclose(likelihoods[n, c], -(expected + constant) / 2, rtol=1e-3, atol=1e-2)


def test_a_class_of_one_image_has_the_shared_covariance_and_one_of_many_its_own():
    random = np.random.default_rng(0)
    wide, narrow = random.normal(size=(4000, 2)) * [5, 1], random.normal(size=(4000, 2)) * [1, 5]
    features = np.concatenate([wide, narrow, [[0, 0]]]).astype(np.float32)
    labels = np.repeat([0, 1, 2], [4000, 4000, 1])
    statistics = measure_classes(features, features, labels, task=0)
    gaussians = ClassGaussians.from_statistics(statistics, prior_images=1.0)
    along = gaussians.squared_distances(np.array([[5.0, 0.0]]))[0]
    assert along == pytest.approx([1, 25, 25 / 13], rel=0.15), "13 is the mean variance of the two"


def test_directions_that_are_cut_off_leave_the_whole_variance_as_it_is():
    full, cut = (measured({0: 7, 1: 7}, seed=1, rank=rank) for rank in (6, 2))
    for whole, part in zip(covariances(full, 1.0, 1.0), covariances(cut, 1.0, 1.0), strict=True):
        assert np.isclose(np.trace(whole), np.trace(part), rtol=1e-3)


def test_statistics_that_were_moved_far_with_much_unexplained_still_give_finite_distances():
    statistics = measured({0: 6, 1: 1, 2: 3}, seed=2, rank=2)
    random = np.random.default_rng(3)
    for _ in range(5):
        drift = AffineMap(random.normal(size=(DIMENSION, DIMENSION)), random.normal(size=DIMENSION))
        noise = random.normal(size=(DIMENSION, DIMENSION))
        outputs = AffineMap.identity(2)
        statistics = statistics.moved(drift, DriftFit(drift, noise @ noise.T), outputs)
    gaussians = ClassGaussians.from_statistics(statistics)
    distances = gaussians.squared_distances(statistics.means)
    assert np.isfinite(distances).all()
    assert np.allclose(np.diagonal(distances), 0, atol=1e-6)
    assert np.isfinite(gaussians.log_likelihoods(statistics.means)).all()


@pytest.mark.parametrize("spread", [0.0, 2.0])
def test_without_any_class_of_two_images_the_nearest_mean_still_wins(spread):
    means = np.array([[0.0, 0.0], [spread, 0.0], [0.0, spread]], dtype=np.float32)
    gaussians = ClassGaussians.from_statistics(measure_classes(means, means, np.arange(3), task=0))
    distances = gaussians.squared_distances(means + 0.1)
    assert np.isfinite(distances).all()
    assert (distances.argmin(axis=1) == [0, 1 if spread else 0, 2 if spread else 0]).all()


def test_what_is_drawn_has_the_mean_and_the_covariance_of_the_class():
    statistics = measured({3: 6, 8: 1}, seed=4, rank=3)
    gaussians = ClassGaussians.from_statistics(statistics, prior_images=3.0, isotropic_images=5.0)
    for position, covariance in enumerate(covariances(statistics, 3.0, 5.0)):
        class_id = int(statistics.class_ids[position])
        drawn = gaussians.sample(class_id, 40_000, np.random.default_rng(5))
        scale = np.trace(covariance)
        assert np.allclose(drawn.mean(axis=0), statistics.means[position], atol=0.03 * np.sqrt(scale))
        assert np.allclose(np.cov(drawn.T), covariance, atol=0.03 * scale)
        again = gaussians.sample(class_id, 2, np.random.default_rng(6))
        assert np.array_equal(again, gaussians.sample(class_id, 2, np.random.default_rng(6)))


def test_answers_are_the_same_in_small_blocks(monkeypatch):
    statistics = measured({c: 1 + c % 4 for c in range(9)}, seed=7, rank=2)
    asked = np.random.default_rng(8).normal(10, 3, size=(11, DIMENSION))
    at_once = ClassGaussians.from_statistics(statistics).log_likelihoods(asked)
    monkeypatch.setattr(class_gaussians, "BLOCK_NUMBERS", 20)
    assert np.allclose(ClassGaussians.from_statistics(statistics).log_likelihoods(asked), at_once, rtol=1e-5)


def test_nothing_asked_is_nothing_answered_and_rank_0_is_enough():
    statistics = measured({0: 3, 1: 3}, seed=9, rank=0)
    gaussians = ClassGaussians.from_statistics(statistics)
    assert gaussians.squared_distances(np.empty((0, DIMENSION))).shape == (0, 2)
    assert gaussians.sample(0, 0, np.random.default_rng(0)).shape == (0, DIMENSION)


def test_what_cannot_be_asked_is_a_typed_error():
    statistics = measured({0: 3, 10: 3}, seed=10, rank=2)
    gaussians = ClassGaussians.from_statistics(statistics)
    with pytest.raises(DimensionMismatch, match="5 dimensions"):
        gaussians.squared_distances(np.zeros((2, 4)))
    with pytest.raises(UnknownChoice, match="unknown category id '7'"):
        gaussians.sample(7, 1, np.random.default_rng(0))
    for bad in ({"prior_images": 0.0}, {"isotropic_images": float("nan")}):
        with pytest.raises(SettingsError):
            ClassGaussians.from_statistics(statistics, **bad)


def test_a_scale_of_the_features_changes_no_distance():
    statistics = measured({0: 5, 1: 3}, seed=11, rank=2)
    asked = np.random.default_rng(12).normal(10, 3, size=(4, DIMENSION))
    scaled = replace(
        statistics,
        means=statistics.means * 1e3,
        scatter=statistics.scatter * 1e6,
        factors=replace(
            statistics.factors,
            lengths=statistics.factors.lengths * np.float32(1e3),
            rests=statistics.factors.rests * 1e6,
        ),
    )
    distances = ClassGaussians.from_statistics(statistics).squared_distances(asked)
    assert np.allclose(
        ClassGaussians.from_statistics(scaled).squared_distances(asked * 1e3), distances, rtol=1e-4
    )
