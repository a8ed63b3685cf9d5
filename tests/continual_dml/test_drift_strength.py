"""The strength of a drift map is the one that carries categories it has not seen best."""

import numpy as np
import pytest

from continual_dml.memory.drift import fit_drift
from continual_dml.memory.drift_strength import (
    FOLDS,
    GRID,
    WITHOUT_A_CHOICE,
    _Fold,
    choose_drift_map,
    choose_drift_strength,
)


def features(
    seed: int, categories: int = 8, each: int = 6, dimension: int = 5
) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(categories), each)
    centres = random.normal(size=(categories, dimension))
    return centres[labels] + 0.3 * random.normal(size=(len(labels), dimension)), labels


def test_a_drift_that_is_affine_everywhere_asks_for_the_weakest_hold() -> None:
    before, labels = features(0)
    turned = before @ np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0] + 0.5
    assert choose_drift_strength(before, turned, labels) == min(GRID)
    choice = choose_drift_map(before, turned, labels)
    assert choice.strength == min(GRID)
    assert choice.held_out_error == min(error for _, error in choice.errors)
    assert choice.uncorrected is not None and choice.held_out_error < 0.01 * choice.uncorrected


def test_a_drift_that_is_noise_around_a_shift_asks_for_the_strongest_hold() -> None:
    before, labels = features(0, dimension=40)
    after = before + 1.0 + np.random.default_rng(1).normal(size=before.shape)
    assert choose_drift_strength(before, after, labels) == max(GRID)


def test_where_a_map_would_err_more_than_none_no_map_is_taken() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(12), 6)
    before = 0.4 * random.normal(size=(12, 40))[labels] + 0.1 * random.normal(size=(72, 40))
    direction = random.normal(size=40)
    two_ways = np.where(labels % 4 < 2, 1.0, -1.0)[:, None] * 3 * direction / np.linalg.norm(direction)
    choice = choose_drift_map(before, before + two_ways, labels)
    assert choice.strength is None
    assert choice.uncorrected is not None
    assert min(error for _, error in choice.errors) > choice.uncorrected
    assert choice.held_out_error == choice.uncorrected
    few = labels < 9
    assert choose_drift_map(before[few], (before + two_ways)[few], labels[few]).strength is not None


def test_a_map_that_comes_much_closer_is_taken_though_one_item_less_is_found() -> None:
    random = np.random.default_rng(3)
    labels = np.repeat(np.arange(12), 6)
    before = 0.5 * random.normal(size=(12, 20))[labels] + 0.3 * random.normal(size=(72, 20))
    bent = 0.4 * np.tanh(before @ random.normal(size=(20, 20)) / 2)
    choice = choose_drift_map(before, before + 0.5 + bent + 0.1 * random.normal(size=before.shape), labels)
    assert choice.found is not None and choice.found_uncorrected is not None
    assert choice.found < choice.found_uncorrected
    assert choice.held_out_error is not None and choice.uncorrected is not None
    assert choice.held_out_error < 0.5 * choice.uncorrected
    assert choice.strength is not None


def test_a_map_that_undoes_a_turn_finds_what_was_lost() -> None:
    before, labels = features(0, categories=12, dimension=3)
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    choice = choose_drift_map(before, before @ turn.T, labels)
    assert choice.found is not None and choice.found_uncorrected is not None
    assert choice.strength is not None
    assert choice.found > choice.found_uncorrected + 0.3


def test_nothing_moved_and_every_map_is_the_identity() -> None:
    before, labels = features(0)
    choice = choose_drift_map(before, before.copy(), labels)
    assert choice.found == choice.found_uncorrected
    assert choice.held_out_error == pytest.approx(0.0, abs=1e-12)


def test_a_strength_that_was_asked_for_is_taken_and_measured() -> None:
    before, labels = features(0)
    choice = choose_drift_map(before, np.tanh(before), labels, strength=0.7)
    assert choice.strength == 0.7
    assert [strength for strength, _ in choice.errors] == [0.7]
    assert choice.held_out_error == choice.errors[0][1]


def test_one_category_leaves_nothing_to_hold_out() -> None:
    before, _ = features(0)
    choice = choose_drift_map(before, before + 1, np.zeros(len(before), dtype=np.int64))
    assert choice.strength == WITHOUT_A_CHOICE
    assert choice.held_out_error is None


@pytest.mark.parametrize("dimension", [5, 80], ids=["more images than dimensions", "fewer"])
def test_the_errors_are_those_of_the_map_itself_fitted_without_the_held_out_categories(
    dimension: int,
) -> None:
    before, labels = features(2, dimension=dimension)
    after = np.tanh(before) + 0.2 * np.random.default_rng(3).normal(size=before.shape)
    held_out = np.isin(labels, np.unique(labels)[0::FOLDS])
    slow = [
        float(
            np.square(
                fit_drift(before[~held_out], after[~held_out], strength).map(before[held_out])
                - after[held_out]
            ).sum()
        )
        for strength in GRID
    ]
    fold = _Fold.of(before, after, held_out)
    np.testing.assert_allclose(fold.errors(GRID), slow, rtol=1e-6)
    by_map = fit_drift(before[~held_out], after[~held_out], GRID[3]).map(before[held_out])
    np.testing.assert_allclose(before[held_out] + fold.drift(GRID[3]), by_map, rtol=1e-6)


def test_images_that_all_look_the_same_are_no_error() -> None:
    before, labels = np.ones((8, 3)), np.repeat([0, 1], 4)
    choice = choose_drift_map(before, before + 2.0, labels)
    assert choice.strength in GRID
    assert choice.held_out_error == 0.0
