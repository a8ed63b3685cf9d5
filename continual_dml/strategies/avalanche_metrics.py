"""Retrieval metrics as an Avalanche metric plugin, so that its loggers can show them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from continual_dml.embedding.torchvision_guard import import_torchvision

import_torchvision()  # Avalanche imports torchvision, which may need the guard
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="no QP solver found")  # of a strategy that is not used here
    from avalanche.evaluation import PluginMetric
    from avalanche.evaluation.metric_results import MetricValue
    from avalanche.evaluation.metric_utils import get_metric_name
    from avalanche.logging import BaseLogger
    from avalanche.training.plugins import EvaluationPlugin

if TYPE_CHECKING:
    from continual_dml.strategies.avalanche_strategy import EmbeddingStrategy


class RetrievalMetric(PluginMetric):  # type: ignore[misc]
    """Emits what :class:`EmbeddingStrategy` measured.

    Per experience ``Recall@K``, ``RPrecision`` and ``MAP@R``, for instance
    ``Recall@1/eval_phase/test_stream/Task000/Exp000``; per stream ``StreamRecall@K`` (mean over experiences)
    and, once two experiences are learned, ``StreamForgetting`` (of the smallest K), both as
    :class:`continual_dml.metrics.forgetting.RecallMatrix` defines them. An experience none of whose queries
    has anything to find in the gallery is left out.
    """

    def __init__(self) -> None:
        super().__init__()
        self._stream: dict[str, list[float]] = {}

    def result(self) -> None:
        """Nothing is kept between evaluations."""

    def reset(self) -> None:
        """Forget the experiences seen in the running evaluation."""
        self._stream = {}

    def before_eval(self, strategy: EmbeddingStrategy) -> None:
        """Start a stream."""
        self.reset()

    def after_eval_exp(self, strategy: EmbeddingStrategy) -> list[MetricValue]:
        """Emit the metrics of the experience just evaluated."""
        found = strategy.retrieval
        if found is None or not found.queries:
            return []
        values = {f"Recall@{k}": value for k, value in found.recall.items()}
        for name, value in values.items():
            self._stream.setdefault(f"Stream{name}", []).append(value)
        values |= {"RPrecision": found.r_precision, "MAP@R": found.map_at_r}
        return self._emitted(strategy, values, of_experience=True)

    def after_eval(self, strategy: EmbeddingStrategy) -> list[MetricValue]:
        """Emit the metrics of the stream."""
        if strategy.experience is None:
            return []
        values = {name: math.fsum(seen) / len(seen) for name, seen in self._stream.items()}
        forgetting = strategy.recall_matrix.forgetting()
        if forgetting is not None:
            values["StreamForgetting"] = forgetting
        return self._emitted(strategy, values, of_experience=False)

    def _emitted(
        self, strategy: EmbeddingStrategy, values: dict[str, float], *, of_experience: bool
    ) -> list[MetricValue]:
        step = strategy.clock.train_iterations
        return [
            MetricValue(
                self,
                get_metric_name(name, strategy, add_experience=of_experience, add_task=of_experience),
                value,
                step,
            )
            for name, value in values.items()
        ]


def retrieval_evaluator(loggers: Sequence[BaseLogger] = ()) -> EvaluationPlugin:
    """Return an evaluation plugin with :class:`RetrievalMetric` alone; silent without ``loggers``.

    Avalanche's own default measures classification accuracy, which means nothing for embeddings.
    """
    return EvaluationPlugin(RetrievalMetric(), loggers=list(loggers) or [BaseLogger()])
