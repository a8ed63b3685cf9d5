"""Which categories are found, which are taken for which, and which queries show it best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class FoundCategory:
    """Of ``queries`` of a category, ``found`` have an item of their own category nearest."""

    category: int
    queries: int
    found: int


@dataclass(frozen=True, slots=True)
class Confusion:
    """``queries`` of the category ``asked`` have an item of the category ``answered`` nearest.

    ``examples``: rows of some of them, those first that are most clearly wrong.
    """

    asked: int
    answered: int
    queries: int
    examples: tuple[int, ...]


def found_categories(asked: NDArray[np.int64], answered: NDArray[np.int64]) -> list[FoundCategory]:
    """Return Recall@1 of each category, by ascending category.

    Args:
        asked: (Q,) category of each query.
        answered: (Q,) category of its nearest item.

    >>> found_categories(np.array([4, 2, 4]), np.array([4, 4, 2]))
    [FoundCategory(category=2, queries=1, found=0), FoundCategory(category=4, queries=2, found=1)]
    """
    categories, places = np.unique(asked, return_inverse=True)
    queries = np.bincount(places, minlength=len(categories))
    found = np.bincount(places[asked == answered], minlength=len(categories))
    return [
        FoundCategory(*row) for row in zip(categories.tolist(), queries.tolist(), found.tolist(), strict=True)
    ]


def confusions(
    asked: NDArray[np.int64],
    answered: NDArray[np.int64],
    margins: NDArray[np.floating],
    most: int,
    examples: int,
) -> list[Confusion]:
    """Return the pairs of categories that are confused most often; of equal ones the smaller ids first.

    Args:
        asked: (Q,) category of each query.
        answered: (Q,) category of its nearest item.
        margins: (Q,) by how much that is nearer than the nearest item of the query's own category.
        most: so many pairs at most.
        examples: so many queries of each.

    >>> confusions(np.array([1, 1, 1]), np.array([2, 1, 2]), np.array([0.1, 0.0, 0.3]), 5, 1)
    [Confusion(asked=1, answered=2, queries=2, examples=(2,))]
    """
    rows = np.flatnonzero(asked != answered)
    rows = rows[np.lexsort((rows, -margins[rows], answered[rows], asked[rows]))]
    pairs = np.stack([asked[rows], answered[rows]], axis=1)
    begins = np.flatnonzero(np.concatenate([[True], (pairs[1:] != pairs[:-1]).any(axis=1)])[: len(rows)])
    counts = np.diff(np.append(begins, len(rows)))
    order = np.argsort(-counts, kind="stable")[:most]
    return [
        Confusion(int(first), int(second), count, tuple(rows[begin : begin + min(examples, count)].tolist()))
        for (first, second), begin, count in zip(
            pairs[begins[order]].tolist(), begins[order].tolist(), counts[order].tolist(), strict=True
        )
    ]


def worst_queries(wrong: NDArray[np.bool_], margins: NDArray[np.floating], most: int) -> list[int]:
    """Return the rows of the wrong queries with the largest margins, largest first, ties by row.

    >>> worst_queries(np.array([True, False, True]), np.array([0.1, 0.9, 0.2]), 5)
    [2, 0]
    """
    rows = np.flatnonzero(wrong)
    found: list[int] = rows[np.argsort(-margins[rows], kind="stable")][:most].tolist()
    return found


def sampled_queries(tasks: NDArray[np.int64], hashes: Sequence[str], most: int) -> list[int]:
    """Return rows of up to ``most`` queries, as many of each task, by task and content hash.

    A task's sample begins with the same queries whatever else is asked, so that they can be followed from
    generation to generation. Where there are more tasks than that, evenly spread ones give one each.

    Args:
        tasks: (Q,) task of each query.
        hashes: (Q,) content hash of each.
        most: 1 or more.

    >>> sampled_queries(np.array([1, 1, 1, 2]), ["c", "a", "b", "d"], most=4)
    [1, 2, 3]
    """
    known = np.unique(tasks)
    if len(known) > most:
        known = known[np.linspace(0, len(known) - 1, most).round().astype(np.int64)]
    of_each = most // max(1, len(known))
    return [
        row
        for task in known.tolist()
        for row in sorted(np.flatnonzero(tasks == task).tolist(), key=lambda row: hashes[row])[:of_each]
    ]


def spread_rows(groups: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return up to ``most`` rows in ascending order, evenly spread over each group and as many of each.

    Args:
        groups: (N,) which group each row is of.
        most: how many in all.

    >>> spread_rows(np.array([1, 1, 1, 1, 1, 2]), most=4).tolist()
    [0, 4, 5]
    """
    known, counts = np.unique(groups, return_counts=True)
    of_each = max(1, most // max(1, len(known)))
    chosen = [
        np.flatnonzero(groups == group)[np.linspace(0, count - 1, min(count, of_each)).astype(np.int64)]
        for group, count in list(zip(known.tolist(), counts.tolist(), strict=True))[:most]
    ]
    return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *chosen]))
