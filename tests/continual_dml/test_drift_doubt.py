"""Where a drift map knows little, it says so."""

import numpy as np
import pytest

from continual_dml.memory.drift import DriftFit, fit_drift_from_moments
from continual_dml.memory.drift_doubt import MOST_DIRECTIONS, DriftDoubt, doubt_of
from continual_dml.memory.moments import PairedMoments


def moments_of(before: np.ndarray, after: np.ndarray) -> PairedMoments:
    moments = PairedMoments.empty(before.shape[1])
    moments.update(before, after)
    return moments


def fitted(strength: float | None = 0.1, dimension: int = 4) -> tuple[PairedMoments, DriftFit]:
    random = np.random.default_rng(0)
    before = random.normal(size=(40, dimension)) * np.linspace(3.0, 0.5, dimension)
    moments = moments_of(before, np.tanh(before) + 0.1 * random.normal(size=before.shape))
    return moments, fit_drift_from_moments(moments, strength)


def slow_leverage(point: np.ndarray, moments: PairedMoments, strength: float) -> float:
    dimension = len(moments.mean_a)
    ridge = strength * np.trace(moments.c_aa) / dimension * np.eye(dimension)
    apart = point - moments.mean_a
    return float((1 + apart @ np.linalg.inv(moments.c_aa + ridge) @ apart) / moments.count)


def test_leverage_is_the_predictive_variance_of_a_ridge_regression() -> None:
    moments, fit = fitted()
    points = np.random.default_rng(1).normal(size=(5, 4))
    found = doubt_of(moments, fit, 0.1).leverage(points)
    assert found == pytest.approx([slow_leverage(point, moments, 0.1) for point in points])


def test_a_map_is_doubted_more_the_further_a_feature_lies_from_the_images_it_saw() -> None:
    moments, fit = fitted()
    doubt = doubt_of(moments, fit, 0.1)
    ray = moments.mean_a + np.linspace(0, 5, 6)[:, None] * np.array([0.0, 0.0, 0.0, 1.0])
    assert (np.diff(doubt.leverage(ray)) > 0).all()


def test_the_variance_of_the_error_is_that_of_the_residual_seen_through_what_follows() -> None:
    moments, fit = fitted()
    head = np.random.default_rng(2).normal(size=(2, 4))
    expected = np.trace(head @ fit.residual @ head.T)
    assert doubt_of(moments, fit, 0.1).variance_after(head) == pytest.approx(expected)


def test_the_residual_is_scaled_to_the_error_on_categories_that_were_held_out() -> None:
    moments, fit = fitted()
    trace = float(np.trace(fit.residual))
    plain, scaled = doubt_of(moments, fit, 0.1), doubt_of(moments, fit, 0.1, held_out_error=3 * trace)
    every = np.eye(4)
    assert scaled.variance_after(every) == pytest.approx(3 * plain.variance_after(every))
    assert doubt_of(moments, fit, 0.1, held_out_error=trace / 2).variance_after(every) == pytest.approx(trace)


def test_the_identity_is_doubted_the_same_everywhere() -> None:
    moments, fit = fitted(strength=None)
    doubt = doubt_of(moments, fit, None)
    assert doubt.leverage(np.random.default_rng(3).normal(size=(4, 4))) == pytest.approx([1 / 40] * 4)
    assert doubt.variance_after(np.eye(4)) == pytest.approx(np.trace(fit.residual))


def test_what_lies_beyond_the_kept_directions_counts_alike_in_all_of_them() -> None:
    dimension = MOST_DIRECTIONS + 20
    random = np.random.default_rng(4)
    before = random.normal(size=(300, dimension))
    moments = moments_of(before, before + random.normal(size=before.shape))
    fit = fit_drift_from_moments(moments, 1.0)
    doubt = doubt_of(moments, fit, 1.0)
    assert doubt.axes.shape == (MOST_DIRECTIONS, dimension)
    assert doubt.variance_after(np.eye(dimension)) == pytest.approx(np.trace(fit.residual))
    points = random.normal(size=(3, dimension))
    assert doubt.leverage(points) == pytest.approx([slow_leverage(p, moments, 1.0) for p in points], rel=0.1)
    again = DriftDoubt.from_arrays(doubt.to_arrays())
    assert again.leverage(points) == pytest.approx(doubt.leverage(points), rel=1e-5)
