"""Whether two arms computed the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.side_by_side.rows import Answers

Compare = Callable[[Answers, Answers], "str | None"]


def equal(ours: Answers, theirs: Answers) -> str | None:
    """Return which arrays differ in anything."""
    return close_together(0.0)(ours, theirs)


def close_together(tolerance: float) -> Compare:
    """Return what tells which arrays differ by more than ``tolerance`` times the largest number in them.

    >>> close_together(0.1)({"a": np.ones(2)}, {"a": np.array([1.0, 1.5])})
    'a differs by 0.5, its largest number is 1'
    """

    def difference(first: NDArray[np.float64], second: NDArray[np.float64]) -> str | None:
        largest = float(np.abs(first).max(initial=0.0))
        apart = float(np.abs(first - second).max(initial=0.0))
        if apart <= tolerance * largest:  # false where it is not a number
            return None
        return f"differs by {apart:g}, its largest number is {largest:g}"

    return _array_by_array(difference)


def same_lists(share: float) -> Compare:
    """Return what accepts two ``found`` (Q, k), lists of row numbers, of which so large a ``share`` agrees.

    Rows whose similarities are equal but for rounding may stand in either order.
    """

    def compare(ours: Answers, theirs: Answers) -> str | None:
        first, second = np.asarray(ours["found"]), np.asarray(theirs["found"])
        if first.shape != second.shape:
            return f"found has shapes {first.shape} and {second.shape}"
        common = [len(np.intersect1d(a, b)) / len(a) for a, b in zip(first, second, strict=True)]
        agreed = float(np.mean(common))
        return None if agreed >= share else f"only {agreed:.4f} of what was found agrees"

    return compare


def mean_apart(tolerance: float) -> Compare:
    """Return what tells which arrays differ by more than ``tolerance`` on average.

    For pictures that were resized in two ways, which differ most at few edges.

    >>> mean_apart(0.5)({"a": np.array([0.0, 1.0])}, {"a": np.array([0.0, 3.0])})
    'a differs by 1 on average'
    """

    def difference(first: NDArray[np.float64], second: NDArray[np.float64]) -> str | None:
        apart = float(np.abs(first - second).mean())
        return None if apart <= tolerance else f"differs by {apart:g} on average"

    return _array_by_array(difference)


def close_directions(tolerance: float) -> Compare:
    """Return what accepts ``features`` (n, F) whose rows lie within ``1 - tolerance`` of theirs in cosine.

    >>> close_directions(0.1)({"features": np.eye(2)}, {"features": np.eye(2)[::-1]})
    'features lie 1 apart in cosine'
    """

    def compare(ours: Answers, theirs: Answers) -> str | None:
        first = np.asarray(ours["features"], dtype=np.float64)
        second = np.asarray(theirs["features"], dtype=np.float64)
        if first.shape != second.shape:
            return f"features has shapes {first.shape} and {second.shape}"
        lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
        apart = float((1 - (first * second).sum(axis=1) / lengths).max())
        if not apart <= tolerance:  # also where it is not a number
            return f"features lie {apart:g} apart in cosine"
        return None

    return compare


def _array_by_array(
    difference: Callable[[NDArray[np.float64], NDArray[np.float64]], str | None],
) -> Compare:
    """Return what looks for a ``difference`` in each array of one name, of which both have the same ones."""

    def compare(ours: Answers, theirs: Answers) -> str | None:
        if set(ours) != set(theirs):
            return f"{sorted(ours)} and {sorted(theirs)} were computed"
        for name, value in ours.items():
            first, second = np.asarray(value, dtype=np.float64), np.asarray(theirs[name], dtype=np.float64)
            if first.shape != second.shape:
                return f"{name} has shapes {first.shape} and {second.shape}"
            found = difference(first, second)
            if found is not None:
                return f"{name} {found}"
        return None

    return compare
