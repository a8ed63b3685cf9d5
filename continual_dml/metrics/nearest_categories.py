"""Which categories a query is nearest to, and how close together the items of a category lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from continual_dml.metrics.ranking import similarity_chunks

MOST_ASKED = 200
"""So many items of a category say how close together it lies; each is compared with all of them."""
NO_CATEGORY = -1
LEAST = -1.0


class NearestCategories(NamedTuple):
    """The two nearest categories of each query, nearest first.

    ``categories`` (Q, 2), -1 where the gallery has no second one; ``similarities`` (Q, 2) float64: cosine of
    the best item of each, -1 where there is none.
    """

    categories: NDArray[np.int64]
    similarities: NDArray[np.float64]

    @classmethod
    def nothing(cls, queries: int) -> NearestCategories:
        """Return that no category was found for any of so many queries."""
        return cls(np.full((queries, 2), NO_CATEGORY, dtype=np.int64), np.full((queries, 2), LEAST))

    def put(self, rows: slice | NDArray[np.int64], found: NearestCategories) -> None:
        """Let ``found`` stand for some of the queries."""
        self.categories[rows], self.similarities[rows] = found

    def of(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> NearestCategories:
        """Return what was found for some of the queries."""
        return NearestCategories(self.categories[rows], self.similarities[rows])


class Closeness(NamedTuple):
    """How close together the items of a category lie: the median cosine of an item and the next of its own.

    ``categories`` (C,) in ascending order; ``values`` (C,), NaN where a category has a single item;
    ``typical``: the median over the items of all categories, NaN where each has a single one.
    """

    categories: NDArray[np.int64]
    values: NDArray[np.float64]
    typical: float


def nearest_categories(
    queries: NDArray[np.float32], gallery: NDArray[np.float32], labels: NDArray[np.int64]
) -> NearestCategories:
    """Find the two categories whose best items are most similar to each query.

    Args:
        queries: (Q, D) unit vectors.
        gallery: (N, D) unit vectors, at least one.
        labels: (N,) categories of the gallery. Of two that are equally near the smaller one comes first.

    >>> axes = np.eye(2, dtype=np.float32)
    >>> found = nearest_categories(np.array([[0.6, 0.8]], dtype=np.float32), axes, np.array([5, 7]))
    >>> found.categories.tolist(), found.similarities.round(3).tolist()
    ([[7, 5]], [[0.8, 0.6]])
    """
    runs = CategoryRuns.of(labels)
    found = NearestCategories.nothing(len(queries))
    for part, similarities in similarity_chunks(queries, gallery):
        found.put(part, runs.two_nearest(runs.best_of_each(similarities)))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class CategoryRuns:
    """Where the items of each category stand in a gallery.

    ``names`` (C,): the categories in ascending order; ``starts`` (C,): where each begins in ``order`` (N,),
    the gallery's rows by category, None where the gallery lies in that order already, which is far faster.
    """

    names: NDArray[np.int64]
    starts: NDArray[np.int64]
    order: NDArray[np.int64] | None

    @classmethod
    def of(cls, labels: NDArray[np.int64]) -> CategoryRuns:
        """Return where they stand in a gallery with ``labels`` (N,)."""
        order = None if (labels[1:] >= labels[:-1]).all() else np.argsort(labels, kind="stable")
        in_order = labels if order is None else labels[order]
        starts = np.flatnonzero(np.concatenate([[True], in_order[1:] != in_order[:-1]])[: len(labels)])
        return cls(in_order[starts].astype(np.int64), starts, order)

    def rows(self) -> Iterator[slice | NDArray[np.int64]]:
        """Yield which rows of the gallery are of each category."""
        for start, end in pairwise([*self.starts.tolist(), None]):
            yield slice(start, end) if self.order is None else self.order[start:end]

    def best_of_each(self, similarities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the cosine of each category's best item (n, C), of cosines (n, N) with the whole gallery."""
        if not len(self.names):
            return np.empty((len(similarities), 0), dtype=np.float32)
        by_category = similarities if self.order is None else similarities[:, self.order]
        return np.asarray(np.maximum.reduceat(by_category, self.starts, axis=1))

    def two_nearest(self, best: NDArray[np.float32]) -> NearestCategories:
        """Return the two nearest categories of queries by what :meth:`best_of_each` gave; it is used up."""
        found = NearestCategories.nothing(len(best))
        rows = np.arange(len(best))
        for place in range(min(2, len(self.names))):
            first = best.argmax(axis=1)  # of equal ones the smallest name
            found.categories[:, place] = self.names[first]
            found.similarities[:, place] = best[rows, first]
            best[rows, first] = -np.inf
        return found


def closeness_of_categories(vectors: NDArray[np.float32], labels: NDArray[np.int64]) -> Closeness:
    """Measure how close together each category's items lie.

    Args:
        vectors: (N, D) unit vectors.
        labels: (N,) their categories.

    >>> points = np.array([[1, 0], [0.6, 0.8], [0, 1]], dtype=np.float32)
    >>> found = closeness_of_categories(points, np.array([4, 4, 9]))
    >>> found.categories.tolist(), found.values.round(3).tolist(), round(found.typical, 3)
    ([4, 9], [0.6, nan], 0.6)
    """
    runs = CategoryRuns.of(labels)
    next_of_own = [_next_of_own(vectors[rows]) for rows in runs.rows()]
    values = np.array([float(np.median(one)) if len(one) else np.nan for one in next_of_own])
    everything = np.concatenate([*next_of_own, np.zeros(0)])
    return Closeness(runs.names, values, float(np.median(everything)) if len(everything) else float("nan"))


def _next_of_own(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the cosine of up to :data:`MOST_ASKED` of the rows and the nearest other one of them."""
    if len(vectors) < 2:
        return np.zeros(0)
    asked = np.linspace(0, len(vectors) - 1, min(len(vectors), MOST_ASKED)).astype(np.int64)
    similarities = np.asarray(vectors[asked] @ vectors.T, dtype=np.float64)
    similarities[np.arange(len(asked)), asked] = -np.inf
    return np.asarray(similarities.max(axis=1))
