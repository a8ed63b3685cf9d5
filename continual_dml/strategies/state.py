"""What the learner keeps between tasks: weights, head, class statistics and drift maps. Nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from continual_dml.memory.class_statistics import ClassStatistics
from continual_dml.memory.discriminant_head import DiscriminantHead, unit_rows
from continual_dml.memory.drift import DriftMaps

Arrays = dict[str, NDArray[Any]]


class Head(Protocol):
    """From stored features to embeddings."""

    def __call__(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return unit embeddings (N, D) of stored features (N, F)."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainedHead:
    """The projection that training shaped: ``weight`` (D, F), applied to features before their root."""

    weight: NDArray[np.float32]
    square_root: bool

    def __call__(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return unit embeddings (N, D) of stored features (N, F)."""
        wide = np.asarray(features, dtype=np.float64)
        pooled = wide * np.abs(wide) if self.square_root else wide
        return unit_rows(pooled @ self.weight.T.astype(np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class LearnerState:
    """The learner after ``tasks_learned`` tasks; drift maps are keyed by the generations they start from."""

    tasks_learned: int
    weights: Arrays
    head: DiscriminantHead
    statistics: ClassStatistics
    drift: DriftMaps

    def live_head(self, *, statistics_head: bool, square_root: bool) -> Head:
        """Return the head that embeddings come from."""
        if statistics_head:
            return self.head
        return TrainedHead(self.weights["projection.weight"], square_root)

    def to_artefacts(self) -> dict[str, Arrays]:
        """Return everything as named groups of arrays, one group per stored file."""
        return {
            "model": dict(self.weights),
            "head": {"projection": self.head.projection, "centre": self.head.centre},
            "statistics": {
                **self.statistics.to_arrays(),
                "tasks_learned": np.array([self.tasks_learned], dtype=np.int64),
            },
            "drift": dict(self.drift.to_arrays()),
        }

    @classmethod
    def from_artefacts(cls, groups: dict[str, Arrays]) -> LearnerState:
        """Return the state that :meth:`to_artefacts` gave."""
        statistics = dict(groups["statistics"])
        tasks_learned = int(statistics.pop("tasks_learned")[0])
        return cls(
            tasks_learned,
            groups["model"],
            DiscriminantHead(groups["head"]["projection"], groups["head"]["centre"]),
            ClassStatistics(**statistics),
            DriftMaps.from_arrays(groups["drift"]),
        )
