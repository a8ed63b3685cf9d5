"""Measure every seen task's queries against the gallery as it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from continual_dml.metrics.recall import retrieval_metrics
from continual_dml.records import Measurement

MERGED = "merged"
WITHIN = "within"


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Vectors (N, D) at unit length with category ids and task ids (N,)."""

    vectors: NDArray[np.float32]
    categories: NDArray[np.int64]
    tasks: NDArray[np.int64]

    def of_task(self, task_id: int) -> Labelled:
        """Return the rows of one task."""
        rows = self.tasks == task_id
        return Labelled(self.vectors[rows], self.categories[rows], self.tasks[rows])


def measure_task(
    task_id: int, queries: Labelled, gallery: Labelled, recall_at: Sequence[int]
) -> list[Measurement]:
    """Return the metrics of one task's queries, in the merged gallery and within the task."""
    asked = queries.of_task(task_id)
    measurements: list[Measurement] = []
    for scope, searched in ((MERGED, gallery), (WITHIN, gallery.of_task(task_id))):
        if not len(asked.vectors) or not len(searched.vectors):
            continue
        result = retrieval_metrics(
            asked.vectors, asked.categories, searched.vectors, searched.categories, ks=tuple(recall_at)
        )
        values = {("queries", 0): float(result.queries)}
        if result.queries:  # else no query has anything to find, and there is nothing to take a mean of
            values |= {("recall", k): value for k, value in result.recall.items()}
            values |= {("r_precision", 0): result.r_precision, ("map_at_r", 0): result.map_at_r}
        measurements += [
            Measurement(metric, k, scope, task_id, value, result.queries, result.without_positive)
            for (metric, k), value in values.items()
        ]
    return measurements


def measure_all(
    task_ids: Sequence[int], queries: Labelled, gallery: Labelled, recall_at: Sequence[int]
) -> list[Measurement]:
    """Return the metrics of every task in ``task_ids``: one row of each recall matrix."""
    return [m for task_id in task_ids for m in measure_task(task_id, queries, gallery, recall_at)]
