"""Semantic drift compensation against the loop that its formula is."""

import math

import numpy as np
import pytest

from continual_dml.errors import DimensionMismatch
from continual_dml.memory.semantic_drift import CHUNK_POINTS, compensated


def slow(points: np.ndarray, before: np.ndarray, after: np.ndarray, width: float) -> np.ndarray:
    moved = []
    for point in points:
        weights = [math.exp(-float(((old - point) ** 2).sum()) / (2 * width**2)) for old in before]
        drifts = [w * (new - old) for w, old, new in zip(weights, before, after, strict=True)]
        moved.append(point + sum(drifts) / sum(weights))
    return np.array(moved)


def unit(seed: int, count: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, 3))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("width", [0.2, 0.3, 2.0])
def test_points_move_as_the_formula_says(width: float) -> None:
    points, before, after = unit(0, 5), unit(1, 8), unit(2, 8)
    assert np.allclose(compensated(points, before, after, width), slow(points, before, after, width))


def test_where_everything_moves_alike_so_does_every_point() -> None:
    before = unit(0, 6)
    shift = np.array([0.5, -0.25, 0.0])
    assert np.allclose(compensated(unit(1, 4), before, before + shift), unit(1, 4) + shift)


def test_a_point_far_from_all_images_takes_the_drift_of_the_nearest_one() -> None:
    before = np.array([[0.0, 0.0], [10.0, 0.0]])
    after = before + np.array([[0.0, 1.0], [0.0, -2.0]])
    moved = compensated(np.array([[1000.0, 0.0]]), before, after, width=0.01)  # plain weights are all 0 here
    assert moved.tolist() == [[1000.0, -2.0]]


def test_more_points_than_fit_one_chunk_are_treated_alike() -> None:
    before, after = unit(0, 3), unit(1, 3)
    point = unit(2, 1)
    many = np.repeat(point, CHUNK_POINTS + 2, axis=0)
    assert np.allclose(compensated(many, before, after), slow(point, before, after, 0.3))


def test_points_given_stay_as_they_are() -> None:
    points = unit(0, 2)
    kept = points.copy()
    compensated(points, unit(1, 3), unit(2, 3))
    assert np.array_equal(points, kept)


@pytest.mark.parametrize(
    ("points", "before", "after"),
    [((2, 3), (4, 3), (5, 3)), ((2, 2), (4, 3), (4, 3)), ((2, 3), (0, 3), (0, 3))],
)
def test_shapes_that_do_not_fit_are_named(
    points: tuple[int, int], before: tuple[int, int], after: tuple[int, int]
) -> None:
    with pytest.raises(DimensionMismatch, match=r"cannot move points of .* the same images before and after"):
        compensated(np.zeros(points), np.zeros(before), np.zeros(after))
