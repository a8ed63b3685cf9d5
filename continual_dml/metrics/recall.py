"""Recall@K, and all retrieval metrics of one set of queries in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import DimensionMismatch, GalleryError, SettingsError
from continual_dml.metrics.mutual_ranking import can_rank_mutually, mutually_ranked
from continual_dml.metrics.nearest_categories import CategoryRuns, NearestCategories
from continual_dml.metrics.precision import map_at_r, r_precision
from continual_dml.metrics.ranking import best_columns, similarity_chunks


@dataclass(frozen=True, slots=True)
class RetrievalMetrics:
    """Means over the ``queries`` that have something to find; ``without_positive`` counts the others.

    ``recall`` maps K to Recall@K. With ``queries`` 0 there is no mean: every value is NaN.
    """

    recall: Mapping[int, float]
    r_precision: float
    map_at_r: float
    queries: int
    without_positive: int


def retrieval_metrics(
    query_vectors: NDArray[np.float32],
    query_labels: NDArray[np.int64],
    gallery_vectors: NDArray[np.float32],
    gallery_labels: NDArray[np.int64],
    ks: Sequence[int] = (1, 2, 4, 8),
    *,
    exclude_self: bool = False,
) -> RetrievalMetrics:
    """Rank the gallery for each query by cosine and measure how well the query's own category comes first.

    Ties are broken by gallery order. Memory beyond the input is one chunk of similarities, however many the
    queries.

    Args:
        query_vectors: (Q, D) unit vectors.
        query_labels: (Q,) category ids.
        gallery_vectors: (N, D) unit vectors.
        gallery_labels: (N,) category ids.
        ks: the K of Recall@K.
        exclude_self: the queries are the gallery, row by row, and no item may find itself.

    Raises:
        DimensionMismatch: shapes that do not belong together.
        GalleryError: a vector that is not finite.
        SettingsError: no K, or one below 1.

    >>> axes = np.eye(2, dtype=np.float32)
    >>> result = retrieval_metrics(axes, np.array([7, 8]), axes, np.array([7, 7]), ks=(1,))
    >>> result.recall[1], result.r_precision, result.queries, result.without_positive
    (1.0, 1.0, 1, 1)
    """
    return score_queries(
        query_vectors, query_labels, gallery_vectors, gallery_labels, ks, exclude_self=exclude_self
    ).mean()


class ClosestItems(NamedTuple):
    """The first places of each query, nearest first.

    ``rows`` (Q, k): rows of the gallery, -1 where there is none; ``similarities`` (Q, k): their cosines;
    ``own`` (Q,): the cosine of the best item of the query's own category. The last two are NaN where there is
    none, and for queries that have nothing to find all is.
    """

    rows: NDArray[np.int64]
    similarities: NDArray[np.float32]
    own: NDArray[np.float32]

    @classmethod
    def nothing(cls, queries: int, places: int) -> ClosestItems:
        """Return that nothing was found for any of so many queries."""
        shape = (queries, places)
        rows, similarities = np.full(shape, -1, dtype=np.int64), np.full(shape, np.nan, dtype=np.float32)
        return cls(rows, similarities, np.full(queries, np.nan, dtype=np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class QueryScores:
    """What each of Q queries found.

    ``rows`` (n,): the queries that have something to find, in ascending order; of these ``recall`` maps K to
    whether the first K places have a positive (n,), ``r_precision`` and ``map_at_r`` are (n,). ``nearest``:
    the two nearest categories of all Q queries, none of those that have nothing to find; ``closest``: their
    first places. None where nobody asked for it.
    """

    queries: int
    rows: NDArray[np.int64]
    recall: Mapping[int, NDArray[np.bool_]]
    r_precision: NDArray[np.float64]
    map_at_r: NDArray[np.float64]
    nearest: NearestCategories | None
    closest: ClosestItems | None = None

    def put(self, queries: NDArray[np.int64], hits: NDArray[np.bool_], relevant: NDArray[np.int64]) -> None:
        """Note of ``queries`` (n,) whether each of the first places (n, k) is one of ``relevant`` (n,)."""
        place = np.searchsorted(self.rows, queries)
        for k, found in self.recall.items():
            found[place] = found_within(hits, k)
        self.r_precision[place] = r_precision(hits, relevant)
        self.map_at_r[place] = map_at_r(hits, relevant)

    def mean(self, asked: NDArray[np.bool_] | None = None) -> RetrievalMetrics:
        """Return the means over the queries ``asked`` (Q,); None for all of them."""
        counted = np.ones(len(self.rows), dtype=np.bool_) if asked is None else asked[self.rows]
        queries = int(np.count_nonzero(counted))
        total = self.queries if asked is None else int(np.count_nonzero(asked))
        return RetrievalMetrics(
            recall={k: _mean(found[counted]) for k, found in self.recall.items()},
            r_precision=_mean(self.r_precision[counted]),
            map_at_r=_mean(self.map_at_r[counted]),
            queries=queries,
            without_positive=total - queries,
        )


def score_queries(
    query_vectors: NDArray[np.float32],
    query_labels: NDArray[np.int64],
    gallery_vectors: NDArray[np.float32],
    gallery_labels: NDArray[np.int64],
    ks: Sequence[int] = (1, 2, 4, 8),
    *,
    exclude_self: bool = False,
    categories: bool = False,
    places: int = 0,
) -> QueryScores:
    """Return what :func:`retrieval_metrics` takes the means of; arguments and errors as there.

    ``categories``: find each query's two nearest categories as well, and keep so many of its first
    ``places``. It is compared with the gallery once for everything, and where that is in the order of its
    labels, they cost next to nothing.
    """
    _check(query_vectors, query_labels, gallery_vectors, gallery_labels, exclude_self)
    if not ks or min(ks) < 1:
        raise SettingsError(f"Recall@K was asked for at K = {tuple(ks)}; give at least one K of 1 or more")
    relevant = _positives(query_labels, gallery_labels) - exclude_self
    # Queries with few positives first: a chunk is ranked as deep as its hungriest query needs.
    asked = np.argsort(relevant, kind="stable")[np.count_nonzero(relevant == 0) :]
    kept = places if categories else 0
    depths = np.minimum(np.maximum(relevant[asked], max(*ks, kept)), len(gallery_labels) - exclude_self)
    scores = QueryScores(
        queries=len(relevant),
        rows=np.sort(asked),
        recall={k: np.empty(len(asked), dtype=np.bool_) for k in ks},
        r_precision=np.empty(len(asked)),
        map_at_r=np.empty(len(asked)),
        nearest=NearestCategories.nothing(len(relevant)) if categories else None,
        closest=ClosestItems.nothing(len(relevant), kept) if kept else None,
    )
    if exclude_self and not categories:
        wanted = np.zeros(len(relevant), dtype=np.int64)
        wanted[asked] = depths
        if can_rank_mutually(gallery_vectors, wanted):
            _score_mutually(scores, gallery_vectors, gallery_labels, wanted, relevant)
            return scores
    runs = CategoryRuns.of(gallery_labels) if categories else None
    own_rows = asked if exclude_self else None
    for part, similarities in similarity_chunks(query_vectors[asked], gallery_vectors, own_rows):
        rows = asked[part]
        ranked = best_columns(similarities, int(depths[part].max()))
        if runs is not None:
            _note_nearest(scores, runs, rows, query_labels[rows], similarities, ranked)
        scores.put(rows, gallery_labels[ranked] == query_labels[rows, None], relevant[rows])
    return scores


def _score_mutually(
    scores: QueryScores,
    vectors: NDArray[np.float32],
    labels: NDArray[np.int64],
    depths: NDArray[np.int64],
    relevant: NDArray[np.int64],
) -> None:
    """Score the gallery's items, asked ``depths`` (N,) deep, as queries; each two are compared once."""
    for items, ranked in mutually_ranked(vectors, depths):
        has_positive = relevant[items] > 0
        queries = items[has_positive]
        scores.put(queries, labels[ranked[has_positive]] == labels[queries, None], relevant[queries])


def _note_nearest(
    scores: QueryScores,
    runs: CategoryRuns,
    rows: NDArray[np.int64],
    labels: NDArray[np.int64],
    similarities: NDArray[np.float32],
    ranked: NDArray[np.int64],
) -> None:
    """Keep what is nearest to queries ``rows`` (n,) with ``labels`` (n,), of all similarities (n, N)."""
    best = runs.best_of_each(similarities)
    if scores.closest is not None:
        first = ranked[:, : scores.closest.rows.shape[1]]
        scores.closest.rows[rows, : first.shape[1]] = first
        scores.closest.similarities[rows, : first.shape[1]] = np.take_along_axis(similarities, first, axis=1)
        scores.closest.own[rows] = best[np.arange(len(rows)), np.searchsorted(runs.names, labels)]
    if scores.nearest is not None:
        scores.nearest.put(rows, runs.two_nearest(best))


def found_within(hits: NDArray[np.bool_], k: int) -> NDArray[np.bool_]:
    """Return, per query (Q,), whether any of its first k places is a positive; the mean of this is Recall@K.

    This is metric learning's Recall@K, which elsewhere is called hit rate.

    >>> found_within(np.array([[False, True], [False, False]]), 2).tolist()
    [True, False]
    """
    return np.asarray(hits[:, :k].any(axis=1))


def _positives(query_labels: NDArray[np.int64], gallery_labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many gallery items share each query's label (Q,)."""
    ordered = np.sort(gallery_labels)
    first = np.searchsorted(ordered, query_labels, side="left")
    return np.searchsorted(ordered, query_labels, side="right") - first


def _mean(values: NDArray[np.bool_] | NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _check(
    query_vectors: NDArray[np.float32],
    query_labels: NDArray[np.int64],
    gallery_vectors: NDArray[np.float32],
    gallery_labels: NDArray[np.int64],
    exclude_self: bool,
) -> None:
    for what, vectors, labels in (
        ("queries", query_vectors, query_labels),
        ("gallery", gallery_vectors, gallery_labels),
    ):
        if vectors.ndim != 2 or labels.shape != vectors.shape[:1]:
            raise DimensionMismatch(
                f"{what}: vectors of shape {vectors.shape} with labels of shape {labels.shape}; "
                "they must be (N, D) and (N,)"
            )
        if not np.isfinite(vectors).all():
            raise GalleryError(f"{what}: a vector is not finite; embed the images again before measuring")
    if query_vectors.shape[1] != gallery_vectors.shape[1]:
        raise DimensionMismatch(
            f"queries of dimension {query_vectors.shape[1]} cannot be compared with a gallery of dimension "
            f"{gallery_vectors.shape[1]}; embed both with the same model"
        )
    if exclude_self and not np.array_equal(query_labels, gallery_labels):
        raise DimensionMismatch(
            "exclude_self needs the queries to be the gallery, item by item, but their labels differ"
        )
