"""Pixels are read one batch ahead, in order, and nothing is left running."""

import threading
from functools import partial

import numpy as np
import pytest

from continual_dml.strategies.prefetch import pixel_batch, prefetched

PIXELS = np.arange(5 * 2 * 2 * 3, dtype=np.uint8).reshape(5, 2, 2, 3)
BATCHES = [np.array([0, 1]), np.array([3]), np.array([4, 0, 2])]


class Recorded:
    """Pixels that note which rows were read, and in which thread."""

    def __init__(self) -> None:
        self.read: list[list[int]] = []
        self.threads: set[str] = set()

    def __len__(self) -> int:
        return len(PIXELS)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        self.read.append(rows.tolist())
        self.threads.add(threading.current_thread().name)
        if rows.max() > 4:
            raise OSError("the disk is gone")
        return PIXELS[rows]


def reading(pixels):
    return partial(pixel_batch, pixels, pin=False)


def test_every_batch_comes_in_order_with_its_own_pixels() -> None:
    batches = list(prefetched(BATCHES, reading(PIXELS)))
    assert [batch.rows.tolist() for batch in batches] == [[0, 1], [3], [4, 0, 2]]
    for batch in batches:
        assert np.array_equal(batch.pixels.numpy(), PIXELS[batch.rows])


def test_the_next_batch_is_read_elsewhere_before_this_one_is_given_back() -> None:
    pixels = Recorded()
    batches = prefetched(BATCHES, reading(pixels))
    next(batches)
    next(batches)
    assert pixels.read[:2] == [[0, 1], [3]]
    list(batches)
    assert pixels.read == [[0, 1], [3], [4, 0, 2]]
    assert threading.current_thread().name not in pixels.threads


def test_stopping_early_leaves_no_thread_behind() -> None:
    before = set(threading.enumerate())  # a training that another test interrupted may not be collected yet
    batches = prefetched(BATCHES, reading(PIXELS))
    next(batches)
    assert set(threading.enumerate()) - before
    batches.close()
    assert not set(threading.enumerate()) - before


def test_an_error_while_reading_reaches_the_training() -> None:
    with pytest.raises(OSError, match="the disk is gone"):
        list(prefetched([np.array([0]), np.array([9])], reading(Recorded())))


def test_no_batches_are_no_error() -> None:
    assert list(prefetched([], reading(PIXELS))) == []
