"""Which categories a query is nearest to, and how close together the items of a category lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from continual_dml.metrics.ranking import FEWEST_QUERIES, SIMILARITIES_PER_CHUNK
from continual_dml.similarity import cosine_similarity

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
    order = np.argsort(labels, kind="stable")
    names, starts = np.unique(labels[order], return_index=True)
    items_of = dict(zip(names.tolist(), np.split(order, starts[1:])[: len(names)], strict=True))
    found = np.full((len(queries), 2), NO_CATEGORY, dtype=np.int64)
    similarities = np.full((len(queries), 2), LEAST)
    for part, chunk in _similarities(queries, gallery):
        for row, cosines in zip(range(part.start, len(queries)), chunk, strict=False):
            for place in range(min(2, len(names))):
                best = cosines.max()
                name = labels[np.flatnonzero(cosines == best)].min()
                found[row, place], similarities[row, place] = name, best
                cosines[items_of[int(name)]] = -np.inf
    return NearestCategories(found, similarities)


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
    order = np.argsort(labels, kind="stable")
    names, starts = np.unique(labels[order], return_index=True)
    next_of_own = [_next_of_own(vectors[rows]) for rows in np.split(order, starts[1:])[: len(names)]]
    values = np.array([float(np.median(one)) if len(one) else np.nan for one in next_of_own])
    everything = np.concatenate([*next_of_own, np.zeros(0)])
    return Closeness(names, values, float(np.median(everything)) if len(everything) else float("nan"))


def _next_of_own(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the cosine of up to :data:`MOST_ASKED` of the rows and the nearest other one of them."""
    if len(vectors) < 2:
        return np.zeros(0)
    asked = np.linspace(0, len(vectors) - 1, min(len(vectors), MOST_ASKED)).astype(np.int64)
    similarities = np.asarray(vectors[asked] @ vectors.T, dtype=np.float64)
    similarities[np.arange(len(asked)), asked] = -np.inf
    return np.asarray(similarities.max(axis=1))


def _similarities(
    queries: NDArray[np.float32], gallery: NDArray[np.float32]
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield the cosines of consecutive queries and the whole gallery, in bounded memory."""
    searched = torch.from_numpy(np.require(gallery, np.float32, ["C", "W"]))
    size = max(FEWEST_QUERIES, SIMILARITIES_PER_CHUNK // max(1, len(gallery)))
    for start in range(0, len(queries), size):
        part = slice(start, start + size)
        asked = torch.from_numpy(np.require(queries[part], np.float32, ["C", "W"]))
        yield part, cosine_similarity(asked, searched).numpy()
