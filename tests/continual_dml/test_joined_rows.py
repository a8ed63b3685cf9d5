"""Two sets of squares as one, without copying either."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from continual_dml.pixels import JoinedRows, SelectedRows


def squares(*values: int) -> np.ndarray:
    """Return one 2 x 2 square of each grey value."""
    return np.repeat(np.array(values, dtype=np.uint8), 12).reshape(len(values), 2, 2, 3)


def greys(pixels: np.ndarray) -> list[int]:
    return pixels[:, 0, 0, 0].tolist()


JOINED = JoinedRows(squares(10, 11, 12), squares(20, 21))


@given(st.lists(st.integers(0, 4), max_size=8))
def test_any_rows_in_any_order_are_those_of_the_sets_put_together(rows: Sequence[int]) -> None:
    both = np.concatenate([JOINED.first, JOINED.second])
    wanted = np.array(rows, dtype=np.int64)
    assert np.array_equal(JOINED[wanted], both[wanted])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (slice(None), [10, 11, 12, 20, 21]),
        (slice(2, 4), [12, 20]),
        (slice(0, 1), [10]),
        (slice(3, 3), []),
        (slice(4, None, -2), [21, 12, 10]),
    ],
)
def test_slices_run_over_the_border(rows: slice, expected: list[int]) -> None:
    found = JOINED[rows]
    assert greys(found) == expected
    assert found.dtype == np.uint8
    assert found.shape[1:] == (2, 2, 3)


def test_rows_may_be_counted_from_the_end() -> None:
    assert greys(JOINED[np.array([-1, -5])]) == [21, 10]


def test_the_length_is_the_sum_and_joins_can_be_joined() -> None:
    three = JoinedRows(JOINED, SelectedRows(squares(30, 31, 32), np.array([2, 0])))
    assert (len(JOINED), len(three)) == (5, 7)
    assert greys(three[np.array([6, 3, 5, 0])]) == [30, 20, 32, 10]


def test_an_empty_set_adds_nothing() -> None:
    assert greys(JoinedRows(squares(), squares(5))[slice(None)]) == [5]
    assert greys(JoinedRows(squares(5), squares())[slice(None)]) == [5]
