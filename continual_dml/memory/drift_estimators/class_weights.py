"""Drift of classes, weighted by how much an image resembles them, as in online mutual distillation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from continual_dml.memory.discriminant_head import unit_rows
from continual_dml.memory.drift_estimators.class_means import class_means
from continual_dml.memory.drift_estimators.protocol import Carrier, Floats, Ints

SMALLEST_SUM = 1e-9


def fit_class_weights(before: NDArray[np.floating], after: NDArray[np.floating], labels: Ints) -> Carrier:
    """Fit the drift of each carried category from the new images that resemble it, then that of each point.

    ::

        w_ci = max(<mu_c, f(a_i)>, 0)        D_c = sum_i w_ci (b_i - a_i) / sum_i w_ci
        v_c  = max(<mu_c, f(x)>, 0)          x <- x + sum_c v_c D_c / sum_c v_c

    f(x) is the unit vector along x - mean_a and mu_c that of the category's mean f. The paper's f is an
    output around zero and its weights may be negative: they can sum to nearly zero and explode, so they are
    cut off here. Where none is left, all count the same.

    Source: Online Deep Metric Learning via Mutual Distillation (arXiv 2203.05201), virtual features; the
    paper takes the drift back from new images, here it is added to old ones.
    """
    old, new = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    centre = old.mean(axis=0)
    return _ByResemblance(centre, _unit(old - centre), new - old)


@dataclass(frozen=True, slots=True, eq=False)
class _ByResemblance:
    """``centre`` (d,), the new images' unit vectors around it and their drift (N, d)."""

    centre: Floats
    images: Floats
    drift: Floats

    @property
    def kept(self) -> int:
        """Return the numbers of the centre, of every image and of its drift."""
        return self.centre.size + self.images.size + self.drift.size

    def __call__(self, points: NDArray[np.floating], labels: Ints) -> Floats:
        wide = np.asarray(points, dtype=np.float64)
        unit = _unit(wide - self.centre)
        means, _ = class_means(unit, labels)
        directions = _unit(means)
        of_classes = _shares(directions @ self.images.T) @ self.drift
        return np.asarray(wide + _shares(unit @ directions.T) @ of_classes)


def _shares(cosines: Floats) -> Floats:
    """Return rows of weights (n, m), none negative, that sum to 1."""
    weights = np.maximum(cosines, 0.0)
    weights[weights.sum(axis=1) <= SMALLEST_SUM] = 1.0
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _unit(vectors: Floats) -> Floats:
    return unit_rows(vectors).astype(np.float64)
