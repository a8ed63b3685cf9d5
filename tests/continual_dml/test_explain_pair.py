"""What a region does for the similarity of two images is found by covering it."""

from __future__ import annotations

import numpy as np
import pytest

from continual_dml.workflows.explain_pair import CELLS, covered, similarity_map

SIDE = 4 * CELLS


def red_and_blue_sides(squares):
    """Embed an image by how red its left half is, and how blue its right half."""
    wide = squares.astype(np.float64) / 255
    half = squares.shape[2] // 2
    axes = np.stack([wide[:, :, :half, 0].mean((1, 2)), wide[:, :, half:, 2].mean((1, 2))], axis=1) + 1e-6
    return (axes / np.linalg.norm(axes, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def square():
    image = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    image[:, : SIDE // 2, 0] = 255
    image[:, SIDE // 2 :, 2] = 255
    return image


def test_covering_what_both_share_costs_and_covering_what_sets_them_apart_gains(square):
    only_red = np.array([1, 0], dtype=np.float32)
    found = similarity_map(red_and_blue_sides, square, only_red)
    assert found.similarity == pytest.approx(np.sqrt(0.5), abs=1e-4)
    assert (found.lost[:, 0] > 0).all()
    assert (found.lost[:, -1] < 0).all()


def test_each_value_is_the_cosine_lost_by_covering_that_region_alone(square):
    other = red_and_blue_sides(square[None])[0]
    found = similarity_map(red_and_blue_sides, square, other)
    step = SIDE // CELLS
    for row, column in ((0, 0), (3, 3), (6, 2)):
        copy = square.copy()
        top, left = max(0, row * step - step // 2), max(0, column * step - step // 2)
        bottom, right = (row + 1) * step + step // 2, (column + 1) * step + step // 2
        copy[top:bottom, left:right] = np.round(square.reshape(-1, 3).mean(axis=0))
        lost = red_and_blue_sides(square[None])[0] @ other - red_and_blue_sides(copy[None])[0] @ other
        assert found.lost[row, column] == pytest.approx(lost, abs=1e-6)


def test_every_pixel_is_covered_at_least_once_and_no_image_wholly(square):
    noise = np.random.default_rng(0).integers(1, 255, square.shape, dtype=np.uint8)
    differs = (covered(noise) != noise).any(axis=-1)
    assert differs.shape == (CELLS * CELLS, SIDE, SIDE)
    assert differs.any(axis=0).mean() > 0.99  # a pixel may happen to have the mean colour
    assert not differs.all(axis=(1, 2)).any()
