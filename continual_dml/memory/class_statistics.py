"""Per-class feature statistics: all that is remembered of the images of past tasks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from continual_dml.memory.drift import AffineMap, DriftFit

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ClassStatistics:
    """Statistics of C classes in the live model's spaces.

    ``class_ids``, ``counts``, ``tasks`` (C,): global category id, images seen, index of the task it came in;
    ``means`` (C, F): mean stored feature; ``scatter`` (F, F): sum over all images of the outer product of
    (feature - class mean), one for all classes; ``output_means`` (C, D): mean raw output of the projection,
    moved along with the model; ``birth_outputs`` (C, D): the same as it was right after the class's task.
    """

    class_ids: Ints
    counts: Ints
    tasks: Ints
    means: Floats
    scatter: Floats
    output_means: Floats
    birth_outputs: Floats

    @property
    def total(self) -> int:
        """Number of images behind the statistics."""
        return int(self.counts.sum())

    def moved(self, means: AffineMap, within: DriftFit, outputs: AffineMap) -> ClassStatistics:
        """Return the statistics carried into the next model's spaces: m <- g(m), S <- A S A' + n R.

        Args:
            means: g, fitted to features as they are.
            within: A and its residual R, fitted to differences from the class mean: what separates classes
                and what varies within them move differently.
            outputs: carries the mean outputs.
        """
        matrix = within.map.matrix
        scatter = matrix @ self.scatter @ matrix.T + self.total * within.residual
        return replace(
            self,
            means=means(self.means),
            scatter=(scatter + scatter.T) / 2,
            output_means=outputs(self.output_means),
        )

    def merged(self, other: ClassStatistics) -> ClassStatistics:
        """Return both together (Chan et al. 1979); a class in both becomes one and keeps its birth here."""
        scatter = self.scatter + other.scatter
        row_of = {int(class_id): row for row, class_id in enumerate(self.class_ids)}
        fresh = [row for row, class_id in enumerate(other.class_ids) if int(class_id) not in row_of]
        means, counts, outputs = self.means.copy(), self.counts.copy(), self.output_means.copy()
        for theirs, class_id in enumerate(other.class_ids):
            if int(class_id) not in row_of:
                continue
            mine = row_of[int(class_id)]
            n, m = int(counts[mine]), int(other.counts[theirs])
            gap = other.means[theirs] - means[mine]
            scatter = scatter + np.outer(gap, gap) * (n * m / (n + m))
            means[mine] += gap * (m / (n + m))
            outputs[mine] += (other.output_means[theirs] - outputs[mine]) * (m / (n + m))
            counts[mine] = n + m
        merged = replace(self, means=means, counts=counts, output_means=outputs, scatter=scatter)
        return merged._with_rows_of(other, fresh)

    def _with_rows_of(self, other: ClassStatistics, rows: list[int]) -> ClassStatistics:
        return replace(
            self,
            class_ids=np.concatenate([self.class_ids, other.class_ids[rows]]),
            counts=np.concatenate([self.counts, other.counts[rows]]),
            tasks=np.concatenate([self.tasks, other.tasks[rows]]),
            means=np.concatenate([self.means, other.means[rows]]),
            output_means=np.concatenate([self.output_means, other.output_means[rows]]),
            birth_outputs=np.concatenate([self.birth_outputs, other.birth_outputs[rows]]),
        )

    def to_arrays(self) -> dict[str, NDArray[np.int64] | NDArray[np.float64]]:
        """Return the fields as named arrays, for storage."""
        return {
            "class_ids": self.class_ids,
            "counts": self.counts,
            "tasks": self.tasks,
            "means": self.means,
            "scatter": self.scatter,
            "output_means": self.output_means,
            "birth_outputs": self.birth_outputs,
        }


def measure_classes(
    features: NDArray[np.float32], outputs: NDArray[np.float32], labels: Ints, task: int
) -> ClassStatistics:
    """Measure the classes of one task.

    Args:
        features: (N, F) stored features by the live model.
        outputs: (N, D) raw outputs of its projection.
        labels: (N,) global category ids.
        task: index of the task, from 0.
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
        means=means,
        scatter=centred.T @ centred,
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
