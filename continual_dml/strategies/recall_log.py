"""A recall matrix per stream and K that grows as streams are evaluated."""

from __future__ import annotations

from continual_dml.metrics.forgetting import RecallMatrix
from continual_dml.metrics.recall import RetrievalMetrics


class RecallLog:
    """Takes down what was measured after each learned experience; a later measurement replaces an earlier."""

    def __init__(self) -> None:
        self.last_stream = ""
        """Name of the stream that was entered last."""
        self._cells: dict[tuple[str, int], dict[tuple[int, int], float]] = {}

    def enter(self, stream: str, row: int, column: int, found: RetrievalMetrics) -> None:
        """Enter what was found for the queries of experience ``column`` after learning experience ``row``."""
        self.last_stream = stream
        if not found.queries:
            return
        for k, value in found.recall.items():
            self._cells.setdefault((stream, k), {})[row, column] = value

    def matrix(self, stream: str, k: int) -> RecallMatrix:
        """Return R[i][j], Recall@k of experience j after learning experience i; None where not measured."""
        cells = self._cells.get((stream, k), {})
        size = 1 + max((row for row, _ in cells), default=-1)
        return RecallMatrix([[cells.get((row, column)) for column in range(row + 1)] for row in range(size)])
