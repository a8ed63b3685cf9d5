"""Distorted views: always the same for a row, whatever is asked for together, and never of other pixels."""

import numpy as np

from continual_dml.embedding.distorted_views import DistortedRows


def squares(count: int, side: int = 12, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, size=(count, side, side, 3), dtype=np.uint8)


def drawn(pixels: np.ndarray, seed: int = 0) -> DistortedRows:
    return DistortedRows.drawn(pixels, np.random.default_rng(seed))


def test_a_row_is_the_same_view_however_it_is_asked_for() -> None:
    views = drawn(squares(6))
    assert len(views) == 6
    everything = views[:]
    assert everything.shape == (6, 12, 12, 3) and everything.dtype == np.uint8
    assert np.array_equal(views[np.array([4, 1])], everything[[4, 1]])
    assert np.array_equal(drawn(squares(6))[:], everything)
    assert not np.array_equal(drawn(squares(6), seed=1)[:], everything)


def test_a_map_that_changes_nothing_shows_the_square_and_a_quarter_turn_turns_it() -> None:
    pixels = squares(2)
    still = np.array([[1, 0, 0], [0, 1, 0]], dtype=np.float32)
    turned = np.array([[0, -1, 0], [1, 0, 0]], dtype=np.float32)
    views = DistortedRows(pixels, np.stack([still, turned]))[:]
    assert np.array_equal(views[0], pixels[0])
    assert np.array_equal(views[1], np.rot90(pixels[1], 1)) or np.array_equal(
        views[1], np.rot90(pixels[1], -1)
    )


def test_half_are_mirrored_and_areas_are_those_of_the_scales() -> None:
    maps = drawn(np.zeros((2000, 4, 4, 3), dtype=np.uint8)).maps
    areas = np.linalg.det(maps[:, :, :2].astype(np.float64))
    assert 0.45 < (areas < 0).mean() < 0.55
    assert np.abs(areas).min() > 0.6**2 - 1e-6
    assert np.abs(areas).max() < 1.3**2 + 1e-6
    assert np.abs(maps[:, :, 2]).max() <= 0.2


def test_beyond_the_border_a_square_goes_on_as_it_ends() -> None:
    plain = np.full((20, 8, 8, 3), 77, dtype=np.uint8)
    assert (drawn(plain)[:] == 77).all()
