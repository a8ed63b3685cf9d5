"""Each category moves as its mean does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from continual_dml.memory.drift import AffineMap
from continual_dml.memory.drift_estimators.protocol import Carrier, Floats, Ints, affine_numbers
from continual_dml.memory.drift_estimators.ridge import ridge_map


def fit_class_means(before: NDArray[np.floating], after: NDArray[np.floating], labels: Ints) -> Carrier:
    """Fit the ridge map g and use it on the means m_c of the carried categories alone.

    ::

        x of category c:  x <- x + g(m_c) - m_c

    Items of a category keep their differences, which says what the map does within categories. Correcting
    class means is what prototype methods do (Yu et al. 2020); theirs has another estimate of the drift.
    """
    return _ByMean(ridge_map(before, after, labels))


@dataclass(frozen=True, slots=True, eq=False)
class _ByMean:
    map: AffineMap

    @property
    def kept(self) -> int:
        """Return the numbers of the map; labels are the items' own."""
        return affine_numbers(len(self.map.offset))

    def __call__(self, points: NDArray[np.floating], labels: Ints) -> Floats:
        means, rows = class_means(np.asarray(points, dtype=np.float64), labels)
        return points + (self.map(means) - means)[rows]


def class_means(points: Floats, labels: Ints) -> tuple[Floats, NDArray[np.intp]]:
    """Return the mean of each category (C, d), in the order of their ids, and each point's row there (n,).

    >>> means, rows = class_means(np.array([[1.0], [3.0], [7.0]]), np.array([9, 9, 4]))
    >>> means.tolist(), rows.tolist()
    ([[7.0], [2.0]], [1, 1, 0])
    """
    _, rows, counts = np.unique(labels, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), points.shape[1]))
    np.add.at(sums, rows, points)
    return sums / counts[:, None], rows
