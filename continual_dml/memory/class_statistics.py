"""Per-class feature statistics: all that is remembered of the images of past tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.memory.class_factors import ClassFactors, measured_factors
from continual_dml.memory.drift import AffineMap, DriftFit
from continual_dml.settings import CLASS_RANK

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_ALWAYS_STORED = ("class_ids", "counts", "tasks", "means", "scatter", "output_means", "birth_outputs")


@dataclass(frozen=True, slots=True, eq=False)
class ClassStatistics:
    """Statistics of C classes in the live model's spaces.

    ``class_ids``, ``counts``, ``tasks`` (C,): global category id, images seen, index of the task it came in;
    ``measured`` (C,): index of the last task that had images of it; ``moves`` (C,): how many drift maps have
    moved it since; ``means`` (C, F): mean stored feature; ``scatter`` (F, F): sum over all images of the
    outer product of (feature - class mean), one for all classes; ``factors``: what is kept of each class's
    own; ``output_means`` (C, D): mean raw output of the projection, moved along with the model;
    ``birth_outputs`` (C, D): the same as it was right after the class's task.
    """

    class_ids: Ints
    counts: Ints
    tasks: Ints
    measured: Ints
    moves: Ints
    means: Floats
    scatter: Floats
    factors: ClassFactors
    output_means: Floats
    birth_outputs: Floats

    @property
    def total(self) -> int:
        """Number of images behind the statistics."""
        return int(self.counts.sum())

    def moved(self, means: AffineMap, within: DriftFit, outputs: AffineMap) -> ClassStatistics:
        """Return the statistics carried into the next model's spaces.

        ::

            m <- g(m)        S <- A S A' + n R        L_c <- L_c A'        rest_c <- stretch rest_c + n_c tr R

        Args:
            means: g, fitted to features as they are.
            within: A and its residual R, fitted to differences from the class mean: what separates classes
                and what varies within them move differently.
            outputs: carries the mean outputs.
        """
        matrix = within.map.wide
        carried = matrix @ self.scatter @ matrix.T
        scatter = carried + self.total * within.residual
        unexplained = max(float(np.trace(within.residual)), 0.0) * self.counts.astype(np.float64)
        return replace(
            self,
            moves=self.moves + 1,
            means=means(self.means),
            scatter=(scatter + scatter.T) / 2,
            factors=self.factors.moved(matrix, float(np.trace(carried)), unexplained),
            output_means=outputs(self.output_means),
        )

    def merged(self, other: ClassStatistics, rank: int = CLASS_RANK) -> ClassStatistics:
        """Return both together (Chan et al. 1979); a class in both becomes one and keeps its birth here.

        Args:
            other: of images that were measured later, in the same spaces.
            rank: most directions of a class's own covariance.
        """
        scatter = self.scatter + other.scatter
        row_of = {int(class_id): row for row, class_id in enumerate(self.class_ids)}
        fresh = [row for row, class_id in enumerate(other.class_ids) if int(class_id) not in row_of]
        means, counts, outputs = self.means.copy(), self.counts.copy(), self.output_means.copy()
        measured, moves = self.measured.copy(), self.moves.copy()
        gaps: dict[int, tuple[int, Floats]] = {}
        for theirs, class_id in enumerate(other.class_ids):
            if int(class_id) not in row_of:
                continue
            mine = row_of[int(class_id)]
            n, m = int(counts[mine]), int(other.counts[theirs])
            gap = other.means[theirs] - means[mine]
            scatter = scatter + np.outer(gap, gap) * (n * m / (n + m))
            gaps[mine] = theirs, gap * np.sqrt(n * m / (n + m))
            means[mine] += gap * (m / (n + m))
            outputs[mine] += (other.output_means[theirs] - outputs[mine]) * (m / (n + m))
            counts[mine] = n + m
            measured[mine], moves[mine] = other.measured[theirs], other.moves[theirs]
        merged = replace(
            self,
            counts=counts,
            measured=measured,
            moves=moves,
            means=means,
            scatter=scatter,
            factors=self.factors.merged(other.factors, gaps, fresh, rank),
            output_means=outputs,
        )
        return merged._with_rows_of(other, fresh)

    def _with_rows_of(self, other: ClassStatistics, rows: list[int]) -> ClassStatistics:
        return replace(
            self,
            class_ids=np.concatenate([self.class_ids, other.class_ids[rows]]),
            counts=np.concatenate([self.counts, other.counts[rows]]),
            tasks=np.concatenate([self.tasks, other.tasks[rows]]),
            measured=np.concatenate([self.measured, other.measured[rows]]),
            moves=np.concatenate([self.moves, other.moves[rows]]),
            means=np.concatenate([self.means, other.means[rows]]),
            output_means=np.concatenate([self.output_means, other.output_means[rows]]),
            birth_outputs=np.concatenate([self.birth_outputs, other.birth_outputs[rows]]),
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the fields as named arrays, for storage; ``statistics_layout`` says which are whose."""
        return {
            "class_ids": self.class_ids,
            "counts": self.counts,
            "tasks": self.tasks,
            "measured": self.measured,
            "moves": self.moves,
            "means": self.means,
            "scatter": self.scatter,
            "output_means": self.output_means,
            "birth_outputs": self.birth_outputs,
            **self.factors.to_arrays(),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], tasks_learned: int) -> ClassStatistics:
        """Return the statistics that :meth:`to_arrays` gave.

        Files of earlier versions say nothing of a class's own covariance, which is then as the shared one,
        and nothing of its age: it counts as last measured when it came, and as moved by each later task.

        Args:
            arrays: by name.
            tasks_learned: how many tasks had been learned when they were stored.
        """
        known = {name: arrays[name] for name in _ALWAYS_STORED}
        if "factor_ranks" in arrays:
            own = ClassFactors.from_arrays(arrays)
            return cls(**known, measured=arrays["measured"], moves=arrays["moves"], factors=own)
        counts, scatter = known["counts"], known["scatter"]
        spread = float(np.trace(scatter)) / max(int(counts.sum()) - len(counts), 1)
        own = ClassFactors.without_directions(spread * (counts - 1.0), len(scatter))
        tasks = known["tasks"]
        return cls(**known, measured=tasks.copy(), moves=tasks_learned - 1 - tasks, factors=own)


def measure_classes(
    features: NDArray[np.float32],
    outputs: NDArray[np.float32],
    labels: Ints,
    task: int,
    rank: int = CLASS_RANK,
) -> ClassStatistics:
    """Measure the classes of one task.

    Args:
        features: (N, F) stored features by the live model.
        outputs: (N, D) raw outputs of its projection.
        labels: (N,) global category ids.
        task: index of the task, from 0.
        rank: most directions of a class's own covariance; 0 keeps none.
    """
    class_ids, rows, counts = np.unique(labels, return_inverse=True, return_counts=True)
    wide, raw = features.astype(np.float64), outputs.astype(np.float64)
    means = _class_means(wide, rows, counts)
    centred = wide - means[rows]
    output_means = _class_means(raw, rows, counts)
    return ClassStatistics(
        class_ids=class_ids.astype(np.int64),
        counts=counts.astype(np.int64),
        tasks=np.full(len(class_ids), task, dtype=np.int64),
        measured=np.full(len(class_ids), task, dtype=np.int64),
        moves=np.zeros(len(class_ids), dtype=np.int64),
        means=means,
        scatter=centred.T @ centred,
        factors=measured_factors(centred[np.argsort(rows, kind="stable")], counts, rank),
        output_means=output_means,
        birth_outputs=output_means.copy(),
    )


def centred_on_classes(features: NDArray[np.floating], labels: Ints) -> Floats:
    """Return features (N, F) less the mean of their class.

    >>> centred_on_classes(np.array([[1.0], [3.0], [7.0]]), np.array([0, 0, 1])).tolist()
    [[-1.0], [1.0], [0.0]]
    """
    _, rows, counts = np.unique(labels, return_inverse=True, return_counts=True)
    wide = np.asarray(features, dtype=np.float64)
    centred: Floats = wide - _class_means(wide, rows, counts)[rows]
    return centred


def _class_means(values: Floats, rows: NDArray[np.intp], counts: Ints) -> Floats:
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, rows, values)
    return sums / counts[:, None]
