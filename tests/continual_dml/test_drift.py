"""Drift maps: affine ridge toward the identity, composed from birth."""

import numpy as np
import pytest

from continual_dml.memory.drift import AffineMap, fit_drift


def random_map(random: np.random.Generator, dimension: int) -> AffineMap:
    return AffineMap(
        np.eye(dimension) + 0.3 * random.normal(size=(dimension, dimension)), random.normal(size=dimension)
    )


def test_an_affine_drift_seen_by_enough_images_is_recovered_and_leaves_nothing() -> None:
    random = np.random.default_rng(0)
    true = random_map(random, 4)
    before = random.normal(size=(200, 4))
    fit = fit_drift(before, true(before), strength=1e-9)
    assert np.allclose(fit.map.matrix, true.matrix, atol=1e-5)
    assert np.allclose(fit.map.offset, true.offset, atol=1e-5)
    assert np.allclose(fit.residual, 0.0, atol=1e-8)


def test_the_map_comes_as_close_to_an_affine_drift_as_the_ridge_is_weak() -> None:
    random = np.random.default_rng(4)
    true = random_map(random, 4)
    before = random.normal(size=(60, 4)) * [3.0, 1.0, 1.0, 0.3]
    errors = [
        np.abs(fit_drift(before, true(before), strength).map.matrix - true.matrix).max()
        for strength in (1.0, 1e-2, 1e-4, 1e-6, 1e-8)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-6


@pytest.mark.parametrize("strength", [1e-6, 0.01, 1.0, 10.0, 1e6])
def test_the_map_is_the_identity_when_nothing_moved(strength: float) -> None:
    random = np.random.default_rng(5)
    features = random.normal(size=(6, 9)) @ random.normal(size=(9, 9)) + 4.0  # fewer images than directions
    fit = fit_drift(features, features.copy(), strength)
    assert np.allclose(fit.map.matrix, np.eye(9), atol=1e-7)
    assert np.allclose(fit.map(features), features, atol=1e-7)
    assert np.allclose(fit.residual, 0.0, atol=1e-7)


def test_directions_that_no_new_image_excites_stay_put() -> None:
    random = np.random.default_rng(1)
    before = random.normal(size=(50, 3)) * [1.0, 1.0, 0.0]  # the third direction is never seen
    after = before @ np.diag([2.0, 0.5, 1.0])
    probe = fit_drift(before, after, strength=1e-9).map(np.array([[0.0, 0.0, 5.0]]))
    assert np.allclose(probe, [[0.0, 0.0, 5.0]], atol=1e-6)


def test_a_very_strong_ridge_only_shifts() -> None:
    before = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    fit = fit_drift(before, 3 * before + [5.0, -2.0], strength=1e9)
    assert np.allclose(fit.map.matrix, np.eye(2), atol=1e-6)
    assert np.allclose(fit.map(before.mean(axis=0)[None]), (3 * before + [5.0, -2.0]).mean(axis=0))


def test_identical_images_give_a_pure_shift() -> None:
    fit = fit_drift(np.ones((5, 2)), np.full((5, 2), 3.0), strength=1.0)
    assert np.allclose(fit.map.matrix, np.eye(2))
    assert np.allclose(fit.map.offset, [2.0, 2.0])


def test_the_ridge_agrees_with_the_normal_equations_written_out_by_hand() -> None:
    random = np.random.default_rng(2)
    a, b, strength = random.normal(size=(20, 3)), random.normal(size=(20, 3)), 0.7
    fit = fit_drift(a, b, strength)
    centred_a, centred_b = a - a.mean(0), b - b.mean(0)
    ridge = strength * np.trace(centred_a.T @ centred_a / 20) / 3
    for row in range(3):  # min_w |b_row - w a|^2 / n + ridge |w - e_row|^2, one output at a time
        target = centred_a.T @ centred_b[:, row] / 20 + ridge * np.eye(3)[row]
        expected = np.linalg.inv(centred_a.T @ centred_a / 20 + ridge * np.eye(3)) @ target
        assert np.allclose(fit.map.matrix[row], expected)
    left_over = centred_b - centred_a @ fit.map.matrix.T
    assert np.allclose(fit.residual, left_over.T @ left_over / 20)


def test_the_identity_leaves_all_of_the_drift_unexplained() -> None:
    before = np.array([[0.0, 0.0], [2.0, 0.0]])
    fit = fit_drift(before, before + np.array([[1.0, 0.0], [3.0, 0.0]]), strength=None)
    assert np.array_equal(fit.map(before), before)
    assert np.allclose(fit.residual, [[(1.0 + 9.0) / 2, 0.0], [0.0, 0.0]])
