"""What a stream of tasks gains and forgets, read off the matrix of recalls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from continual_dml.errors import CdmlError

DEFINITIONS: Mapping[str, str] = {
    "recall_at_k": (
        "Recall@K: share of queries with at least one image of their own category among the K nearest "
        "gallery images; row i, column j is task j's queries after learning task i."
    ),
    "r_precision": (
        "R-precision: share of images of the query's own category among its R nearest, R being how many of "
        "them the gallery holds; mean over queries."
    ),
    "map_at_r": (
        "MAP@R: sum of the precision at each of the R nearest places that holds an image of the query's own "
        "category, divided by R; mean over queries."
    ),
    "merged": (
        "Merged gallery: the queries are searched among the gallery images of all tasks learned so far."
    ),
    "within_task": ("Within task: the queries are searched among the gallery images of their own task only."),
    "without_positive": (
        "Queries without a positive: queries whose category has no image in the gallery searched; counted "
        "apart and left out of every mean."
    ),
    "average": (
        "Average: mean over all tasks learned so far of the metric on their queries after the last task."
    ),
    "forgetting": (
        "Forgetting: mean over all tasks but the last of the best value that the task had before the last "
        "task was learned minus its value now; larger is worse, below 0 is improvement."
    ),
    "backward_transfer": (
        "Backward transfer: mean over all tasks but the last of the task's value now minus its value right "
        "after it was learned; below 0 is loss."
    ),
}
"""One exact sentence per number, to be printed beside it."""


@dataclass(frozen=True, slots=True)
class RecallMatrix:
    """``rows[i][j]``: a metric on task j's queries after learning task i, j <= i (row i has i + 1 entries).

    None stands for what was not measured, for instance a task without queries; it is skipped. Every summary
    is of the state after task ``after``, counted from 0, by default the last one. It is None where nothing is
    known to take the mean of; with a single task, forgetting and backward transfer are None and not 0.

    Raises:
        CdmlError: the rows are no lower triangle.

    >>> matrix = RecallMatrix([[0.9], [0.7, 0.8], [0.75, 0.6, 1.0]])
    >>> round(matrix.average(), 4)  # (.75 + .6 + 1) / 3
    0.7833
    >>> round(matrix.forgetting(), 4)  # (.9 - .75 + .8 - .6) / 2
    0.175
    >>> round(matrix.backward_transfer(), 4)  # (.75 - .9 + .6 - .8) / 2
    -0.175
    """

    rows: Sequence[Sequence[float | None]]

    def __post_init__(self) -> None:
        lengths = [len(row) for row in self.rows]
        if lengths != list(range(1, len(lengths) + 1)):
            raise CdmlError(
                f"a recall matrix has rows of lengths {lengths}; row i must hold one entry for each of "
                "the tasks 0 to i"
            )

    def average(self, after: int = -1) -> float | None:
        """Return mean_j R[t][j]."""
        return _mean(self._until(after)[-1]) if self.rows else None

    def forgetting(self, after: int = -1) -> float | None:
        """Return mean_{j<t} (max_{i<t} R[i][j] - R[t][j])."""
        *earlier, last = self._until(after) or [[]]
        best = [_best([row[j] for row in earlier[j:]]) for j in range(len(earlier))]
        return _mean([_difference(high, now) for high, now in zip(best, last, strict=False)])

    def backward_transfer(self, after: int = -1) -> float | None:
        """Return mean_{j<t} (R[t][j] - R[j][j])."""
        *earlier, last = self._until(after) or [[]]
        return _mean([_difference(now, row[-1]) for now, row in zip(last, earlier, strict=False)])

    def _until(self, after: int) -> list[Sequence[float | None]]:
        """Return the rows up to and including the one after task ``after``."""
        tasks = len(self.rows)
        if tasks and not -tasks <= after < tasks:
            raise CdmlError(f"the recall matrix has {tasks} tasks, counted from 0; there is no task {after}")
        return list(self.rows[: after % tasks + 1]) if tasks else []


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _best(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _difference(minuend: float | None, subtrahend: float | None) -> float | None:
    return None if minuend is None or subtrahend is None else minuend - subtrahend
