"""What was gained and what was forgotten, as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from continual_dml.errors import UnknownChoice

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from continual_dml.metrics.forgetting import RecallMatrix


@dataclass(frozen=True, slots=True)
class Report:
    """The report of one generation.

    Every figure is of held-out images searched in the gallery of all tasks, unless ``within_task`` asks for
    the gallery of their own task alone. :attr:`definitions` says exactly what each is.

    Attributes:
        document: all of it, as ``cdml report --json`` prints it; its keys are kept from version to version.
        live: whether the generation was live when this was read.
    """

    document: Mapping[str, Any]
    live: bool

    def __repr__(self) -> str:
        return f"Report(generation={self.generation}, tasks={list(self.tasks)}, recall={self.recall()})"

    @property
    def generation(self) -> int:
        """Number of the generation."""
        return int(self.document["generation"])

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks learned, oldest first; rows and columns of the matrices are in this order."""
        return tuple(task["name"] for task in self.document["tasks"])

    @property
    def recall_at(self) -> tuple[int, ...]:
        """The K at which Recall@K was measured, ascending."""
        return tuple(sorted(int(k) for k in self.document["recall_at_k"]))

    @property
    def refusal(self) -> str | None:
        """Why the quality gate kept the generation back, None where it did not."""
        refusal: str | None = self.document.get("gate", {}).get("refusal")
        return refusal

    @property
    def definitions(self) -> Mapping[str, str]:
        """One exact sentence for each kind of figure."""
        definitions: Mapping[str, str] = self.document["definitions"]
        return definitions

    def recall(self, k: int | None = None, *, within_task: bool = False) -> float | None:
        """Return Recall@k, the mean over all tasks after the last one; None where nothing could be asked.

        Args:
            k: one of :attr:`recall_at`; None for the smallest.
            within_task: search the gallery of the task alone.

        Raises:
            UnknownChoice: Recall@k was not measured.
        """
        return self.recall_matrix(k, within_task=within_task).average()

    def forgetting(self, k: int | None = None, *, within_task: bool = False) -> float | None:
        """Return what earlier tasks lost of their best Recall@k, on average; larger is worse.

        None with a single task. Arguments and errors as of :meth:`recall`.
        """
        return self.recall_matrix(k, within_task=within_task).forgetting()

    def backward_transfer(self, k: int | None = None, *, within_task: bool = False) -> float | None:
        """Return what Recall@k of earlier tasks gained since each was learned, on average; below 0 is loss.

        None with a single task. Arguments and errors as of :meth:`recall`.
        """
        return self.recall_matrix(k, within_task=within_task).backward_transfer()

    def recall_matrix(self, k: int | None = None, *, within_task: bool = False) -> RecallMatrix:
        """Return R[i][j]: Recall@k on task j's queries after task i; arguments as of :meth:`recall`."""
        from continual_dml.metrics.forgetting import RecallMatrix

        figures = self.document["within_task"] if within_task else self.document
        wanted = str(self.recall_at[0] if k is None else k)
        if wanted not in figures["recall_at_k"]:
            raise UnknownChoice("K", wanted, figures["recall_at_k"])
        return RecallMatrix(figures["recall_at_k"][wanted])

    def matrix(self, k: int | None = None, *, within_task: bool = False) -> NDArray[np.float64]:
        """Return it as an array (T, T) for T tasks; NaN above the diagonal and where nothing was asked.

        Arguments and errors as of :meth:`recall`.
        """
        import numpy as np

        rows = self.recall_matrix(k, within_task=within_task).rows
        matrix = np.full((len(rows), len(rows)), np.nan)
        for number, row in enumerate(rows):
            matrix[number, : len(row)] = [np.nan if value is None else value for value in row]
        return matrix
