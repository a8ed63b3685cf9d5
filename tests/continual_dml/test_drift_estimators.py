"""Each estimator of drift against its formula written out, or against a drift whose answer is known."""

import math

import numpy as np
import pytest

from continual_dml.memory.drift import fit_drift
from continual_dml.memory.drift_estimators import ESTIMATORS
from continual_dml.memory.drift_estimators.class_weights import fit_class_weights
from continual_dml.memory.drift_estimators.held_out import best_candidate
from continual_dml.memory.drift_estimators.linear import fit_linear
from continual_dml.memory.drift_estimators.local_residual import HOLDS, WIDTHS, fit_local_residual
from continual_dml.memory.drift_estimators.mean_shift import fit_mean_shift
from continual_dml.memory.drift_estimators.perceptron import fit_perceptron
from continual_dml.memory.drift_estimators.procrustes import fit_procrustes
from continual_dml.memory.drift_estimators.protocol import ByPosition, Carrier
from continual_dml.memory.drift_estimators.ridge import fit_ridge
from continual_dml.memory.drift_estimators.semantic_kernel import (
    SHARES,
    fit_semantic_kernel,
    typical_distance,
)
from continual_dml.memory.drift_strength import choose_drift_map
from continual_dml.memory.semantic_drift import compensated


def drawn(seed: int, categories: int = 8, each: int = 6, dimension: int = 5) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(categories), each)
    centres = random.normal(size=(categories, dimension))
    return centres[labels] + 0.3 * random.normal(size=(len(labels), dimension)), labels


def turn(seed: int, dimension: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(dimension, dimension)))[0]


def error(carry: Carrier, points: np.ndarray, wanted: np.ndarray, labels: np.ndarray) -> float:
    return float(np.square(carry(points, labels) - wanted).sum())


def test_identity_and_mean_shift_are_what_their_names_say() -> None:
    before, labels = drawn(0)
    after = np.tanh(before)
    points, owners = drawn(1)
    assert np.array_equal(ESTIMATORS["identity"](before, after, labels)(points, owners), points)
    np.testing.assert_allclose(
        fit_mean_shift(before, after, labels)(points, owners), points + (after - before).mean(axis=0)
    )


def test_the_ridge_is_the_map_that_the_product_would_choose() -> None:
    before, labels = drawn(0, categories=12)
    after = np.tanh(before) @ turn(1, 5)
    choice = choose_drift_map(before, after, labels)
    points, owners = drawn(1)
    expected = fit_drift(before, after, choice.strength).map(points)
    assert np.array_equal(fit_ridge(before, after, labels)(points, owners), expected)


def test_class_means_move_by_the_ridge_and_their_items_with_them() -> None:
    before, labels = drawn(0)
    after = np.tanh(before)
    points, owners = drawn(1)
    ridge = fit_ridge(before, after, labels)
    carried = ESTIMATORS["class-means"](before, after, labels)(points, owners)
    for category in np.unique(owners):
        mine = owners == category
        mean = points[mine].mean(axis=0, keepdims=True)
        moved = ridge(mean, np.array([category]))
        np.testing.assert_allclose(carried[mine], points[mine] + moved - mean)


def test_with_more_images_than_dimensions_the_linear_map_is_that_of_least_squares() -> None:
    before, labels = drawn(0)
    after = np.tanh(before)
    with_one = np.concatenate([before, np.ones((len(before), 1))], axis=1)
    solution, *_ = np.linalg.lstsq(with_one, after, rcond=None)
    points, owners = drawn(1)
    expected = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ solution
    np.testing.assert_allclose(fit_linear(before, after, labels)(points, owners), expected)


def test_with_fewer_the_linear_map_is_exact_on_them_and_moves_nothing_across() -> None:
    before, labels = drawn(0, categories=2, each=2, dimension=9)
    after = np.tanh(before)
    carry = fit_linear(before, after, labels)
    np.testing.assert_allclose(carry(before, labels), after)
    across = np.linalg.svd(before - before.mean(axis=0))[2][-1]  # no image differs from the mean along it
    both = np.stack([before[0], before[0] + across])
    carried = carry(both, labels[:2])
    np.testing.assert_allclose(carried[1] - carried[0], across)


def test_procrustes_finds_a_turn_and_a_shift() -> None:
    before, labels = drawn(0)
    rotation = turn(1, 5)
    points, owners = drawn(1)
    carry = fit_procrustes(before, before @ rotation.T + 2.0, labels)
    np.testing.assert_allclose(carry(points, owners), points @ rotation.T + 2.0, atol=1e-6)


def test_procrustes_keeps_distances_whatever_the_drift_and_however_few_the_images() -> None:
    before, labels = drawn(0, categories=2, each=2, dimension=9)
    points, owners = drawn(1, dimension=9)
    carried = fit_procrustes(before, np.tanh(3 * before), labels)(points, owners)
    between = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.testing.assert_allclose(np.linalg.norm(carried[:, None] - carried[None], axis=2), between, atol=1e-9)


def test_procrustes_turns_nothing_that_no_image_shows() -> None:
    before, labels = np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]), np.array([0, 1])
    carry = fit_procrustes(
        before, before @ np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), labels
    )
    np.testing.assert_allclose(carry(np.array([[0.0, 0.0, 1.0]]), labels[:1]), [[0.0, 0.0, 1.0]], atol=1e-6)


def two_ways(categories: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features on either side of a gap; the sides drift apart."""
    before, labels = drawn(0, categories, dimension=3)
    side = np.where(labels % 2 == 0, -1.0, 1.0)
    before = before + 20.0 * side[:, None]
    return before, before + side[:, None] * np.array([0.0, 1.0, -2.0]), labels


def test_the_kernel_is_narrow_where_near_images_say_more_and_wide_where_they_do_not() -> None:
    before, after, labels = two_ways()
    points, owners = drawn(1, dimension=3)
    for side in (-1.0, 1.0):
        shifted = points + 20.0 * side
        carried = fit_semantic_kernel(before, after, labels)(shifted, owners)
        np.testing.assert_allclose(carried, shifted + side * np.array([0.0, 1.0, -2.0]), atol=1e-6)
    noise = before + 1.0 + np.random.default_rng(1).normal(size=before.shape)
    widest = compensated(points, before, noise, SHARES[-1] * typical_distance(before))
    assert np.array_equal(fit_semantic_kernel(before, noise, labels)(points, owners), widest)


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def test_class_weights_are_the_two_sums_of_the_paper_with_weights_cut_off_at_zero() -> None:
    before, labels = drawn(0, categories=3, each=2)
    after = np.tanh(before)
    points, owners = drawn(1, categories=3, each=2)
    centre = before.mean(axis=0)
    drift_of, mean_of = {}, {}
    for category in np.unique(owners):
        mean_of[category] = unit(np.mean([unit(x - centre) for x in points[owners == category]], axis=0))
        weights = [max(float(mean_of[category] @ unit(a - centre)), 0.0) for a in before]
        drifts = [w * (b - a) for w, a, b in zip(weights, before, after, strict=True)]
        drift_of[category] = np.sum(drifts, axis=0) / sum(weights)
    expected = []
    for x in points:
        shares = {c: max(float(mean @ unit(x - centre)), 0.0) for c, mean in mean_of.items()}
        drift = np.sum([share * drift_of[c] for c, share in shares.items()], axis=0) / sum(shares.values())
        expected.append(x + drift)
    np.testing.assert_allclose(fit_class_weights(before, after, labels)(points, owners), expected, rtol=1e-5)


def test_a_category_that_resembles_no_new_image_takes_the_mean_drift() -> None:
    before, labels = np.array([[1.0, 1.0], [1.0, -1.0], [-2.0, 0.0]]), np.array([0, 1, 2])  # around zero
    after = before + np.array([[0.0, 3.0], [0.0, 0.0], [0.0, 0.0]])
    at_the_centre = np.array([[0.0, 0.0]])
    carried = fit_class_weights(before, after, labels)(at_the_centre, np.array([9]))
    np.testing.assert_allclose(carried, [[0.0, 1.0]])


def test_the_local_residual_is_its_formula_at_the_settings_that_carry_held_out_categories_best() -> None:
    before, labels = drawn(0, categories=12, each=4, dimension=2)
    after = before + 0.5 * np.sin(4 * before)
    points, owners = drawn(1, dimension=2)
    carried = fit_local_residual(before, after, labels)(points, owners)
    base = fit_drift(before, after, choose_drift_map(before, after, labels).strength).map
    spread = typical_distance(before)
    found = []
    for width in WIDTHS:
        for hold in HOLDS:
            slow = []
            for x in points:
                weights = [
                    math.exp(-float(((a - x) ** 2).sum()) / (2 * (width * spread) ** 2)) for a in before
                ]
                missed = [w * (b - base(a)) for w, a, b in zip(weights, before, after, strict=True)]
                slow.append(base(x) + np.sum(missed, axis=0) / (hold + sum(weights)))
            found.append(np.allclose(carried, slow))
    assert any(found)
    truth = points + 0.5 * np.sin(4 * points)
    assert np.square(carried - truth).sum() < 0.5 * np.square(base(points) - truth).sum()


def test_without_anything_left_to_correct_the_local_residual_is_the_ridge() -> None:
    before, labels = drawn(0)
    after = before + 1.0 + np.random.default_rng(1).normal(size=before.shape)
    points, owners = drawn(1)
    expected = fit_ridge(before, after, labels)(points, owners)
    np.testing.assert_allclose(fit_local_residual(before, after, labels)(points, owners), expected)


def test_the_network_learns_a_drift_that_is_not_affine() -> None:
    before, labels = drawn(0, categories=20, dimension=2)
    points, owners = drawn(1, dimension=2)
    learned, shifted = (
        error(fit(before, np.abs(before), labels), points, np.abs(points), owners)
        for fit in (fit_perceptron, fit_mean_shift)
    )
    assert learned < 0.3 * shifted


def test_where_learning_only_harms_the_network_stays_at_the_mean_shift() -> None:
    before, labels = drawn(0, categories=24, each=2, dimension=30)
    after = before + 1.0 + np.random.default_rng(1).normal(size=before.shape)
    points, owners = drawn(1, dimension=30)
    expected = fit_mean_shift(before, after, labels)(points, owners)
    np.testing.assert_allclose(fit_perceptron(before, after, labels)(points, owners), expected)


def test_the_best_candidate_has_the_least_error_on_categories_it_was_not_fitted_to() -> None:
    before, labels = drawn(0, categories=6)
    after = before + 1.0
    fitted_to: list[set[int]] = []

    def candidates(old: np.ndarray, new: np.ndarray, mine: np.ndarray) -> list[Carrier]:
        fitted_to.append(set(mine.tolist()))
        return [ByPosition(lambda points, by=by: points + by, kept=1) for by in (0.0, 0.9, 1.2)]

    assert best_candidate(before, after, labels, candidates) == 1
    assert fitted_to == [{1, 2, 3, 5}, {0, 2, 3, 4}, {0, 1, 3, 4, 5}, {0, 1, 2, 4, 5}]
    assert best_candidate(before, after, np.zeros(len(labels), dtype=np.int64), candidates) is None


@pytest.mark.parametrize("estimator", [fit_semantic_kernel, fit_local_residual])
def test_with_one_category_nothing_is_chosen_that_was_not_proven(estimator) -> None:  # type: ignore[no-untyped-def]
    before, _ = drawn(0, categories=1)
    labels = np.zeros(len(before), dtype=np.int64)
    after = before + 1.0
    np.testing.assert_allclose(estimator(before, after, labels)(before, labels), after, atol=1e-6)
