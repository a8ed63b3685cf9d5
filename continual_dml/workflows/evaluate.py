"""Measure every seen task's queries against the gallery as it stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from continual_dml.metrics.nearest_categories import NearestCategories
from continual_dml.metrics.recall import ClosestItems, RetrievalMetrics, retrieval_metrics, score_queries
from continual_dml.records import GalleryLabels, Measurement

MERGED = "merged"
WITHIN = "within"
PLACES = 10
"""So many of the nearest items of each query are kept."""


def _no_ids() -> NDArray[np.int64]:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Vectors (N, D) at unit length with category ids and task ids (N,).

    ``ids`` (N,): which images they are of; empty where nobody asks.
    """

    vectors: NDArray[np.float32]
    categories: NDArray[np.int64]
    tasks: NDArray[np.int64]
    ids: NDArray[np.int64] = field(default_factory=_no_ids)

    def of_task(self, task_id: int) -> Labelled:
        """Return the rows of one task."""
        return self.at(np.flatnonzero(self.tasks == task_id))

    def at(self, rows: NDArray[np.int64]) -> Labelled:
        """Return ``rows`` (n,) of them, without their ids."""
        return Labelled(self.vectors[rows], self.categories[rows], self.tasks[rows])


def labelled_gallery(
    ids: Sequence[NDArray[np.int64]], vectors: Iterable[NDArray[np.float32]], labels: GalleryLabels
) -> Labelled:
    """Return the items of all parts of a gallery with category, task and id of each, category after category.

    That order makes finding the nearest categories of a query cheap.

    Args:
        ids: (n,) of each part.
        vectors: (n, D) of each part; one part's are there at a time.
        labels: of all items, by ascending id.
    """
    every = np.concatenate(ids)
    rows = np.searchsorted(labels.ids, every)
    order = np.argsort(labels.categories[rows], kind="stable")
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order))
    found: NDArray[np.float32] | None = None
    start = 0
    for part in vectors:
        if found is None:
            found = np.empty((len(every), part.shape[1]), dtype=np.float32)
        found[places[start : start + len(part)]] = part
        start += len(part)
    if found is None:
        found = np.empty((0, 0), dtype=np.float32)
    return Labelled(found, labels.categories[rows][order], labels.tasks[rows][order], every[order])


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """One row of each recall matrix, and what each query is nearest to in the merged gallery.

    ``nearest``: the two nearest categories; ``closest``: the first :data:`PLACES` items.
    """

    measurements: list[Measurement]
    nearest: NearestCategories
    closest: ClosestItems


def measure_all(
    task_ids: Sequence[int], queries: Labelled, gallery: Labelled, recall_at: Sequence[int]
) -> Evaluation:
    """Return the metrics of every task in ``task_ids``, in the merged gallery and within the task.

    All queries are compared with the merged gallery once, for all that is asked of it.
    """
    merged = score_queries(
        queries.vectors,
        queries.categories,
        gallery.vectors,
        gallery.categories,
        tuple(recall_at),
        categories=True,
        places=PLACES,
    )
    measurements: list[Measurement] = []
    for task_id in task_ids:
        asked, searched = queries.of_task(task_id), gallery.of_task(task_id)
        if not len(asked.vectors):
            continue
        if len(gallery.vectors):
            measurements += _rows_of(task_id, MERGED, merged.mean(queries.tasks == task_id))
        if len(searched.vectors):
            within = retrieval_metrics(
                asked.vectors, asked.categories, searched.vectors, searched.categories, tuple(recall_at)
            )
            measurements += _rows_of(task_id, WITHIN, within)
    asked_for = len(queries.vectors)
    nearest = merged.nearest or NearestCategories.nothing(asked_for)
    return Evaluation(measurements, nearest, merged.closest or ClosestItems.nothing(asked_for, PLACES))


def _rows_of(task_id: int, scope: str, result: RetrievalMetrics) -> list[Measurement]:
    values = {("queries", 0): float(result.queries)}
    if result.queries:  # else no query has anything to find, and there is nothing to take a mean of
        values |= {("recall", k): value for k, value in result.recall.items()}
        values |= {("r_precision", 0): result.r_precision, ("map_at_r", 0): result.map_at_r}
    return [
        Measurement(metric, k, scope, task_id, value, result.queries, result.without_positive)
        for (metric, k), value in values.items()
    ]
