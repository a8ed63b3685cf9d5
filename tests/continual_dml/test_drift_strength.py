"""The strength of a drift map is the one that carries categories it has not seen best."""

import numpy as np
import pytest

from continual_dml.memory.drift import fit_drift
from continual_dml.memory.drift_strength import FOLDS, GRID, WITHOUT_A_CHOICE, _errors, choose_drift_strength


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


def test_a_drift_that_is_noise_asks_for_the_strongest_hold() -> None:
    before, labels = features(0, dimension=40)
    after = before + np.random.default_rng(1).normal(size=before.shape)
    assert choose_drift_strength(before, after, labels) == max(GRID)


def test_one_category_leaves_nothing_to_hold_out() -> None:
    before, _ = features(0)
    assert (
        choose_drift_strength(before, before + 1, np.zeros(len(before), dtype=np.int64)) == WITHOUT_A_CHOICE
    )


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
    np.testing.assert_allclose(_errors(before, after, held_out), slow, rtol=1e-6)


def test_images_that_all_look_the_same_are_no_error() -> None:
    before, labels = np.ones((8, 3)), np.repeat([0, 1], 4)
    assert choose_drift_strength(before, before + 2.0, labels) in GRID
