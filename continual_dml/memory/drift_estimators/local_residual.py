"""The ridge map, corrected by what it misses on new images nearby."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from continual_dml.memory.drift import AffineMap, fit_drift
from continual_dml.memory.drift_estimators.held_out import best_candidate
from continual_dml.memory.drift_estimators.protocol import ByPosition, Carrier, Floats, Ints, affine_numbers
from continual_dml.memory.drift_estimators.semantic_kernel import typical_distance
from continual_dml.memory.drift_strength import choose_drift_map

WIDTHS = (0.1, 0.15, 0.25, 0.4)
"""In units of the images' root mean square distance."""
HOLDS = (0.3, 1.0, 3.0, 10.0)
"""How many images' worth of no residual at all every point is given."""
NO_RESIDUAL = float("inf")


def fit_local_residual(before: NDArray[np.floating], after: NDArray[np.floating], labels: Ints) -> Carrier:
    """Fit the ridge map g and what it leaves unexplained around a point.

    ::

        x <- g(x) + sum_i w_i (b_i - g(a_i)) / (k + sum_i w_i),     w_i = exp(-|a_i - x|^2 / (2 s^2))

    The width s and the hold k towards no correction are chosen on held-out categories, among them no
    correction at all, which is also what is left where none can be held out.

    Source: ours; the kernel is that of semantic drift compensation (Yu et al. 2020).
    """
    old, new = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    strength = choose_drift_map(old, new, labels).strength
    settings = [(1.0, NO_RESIDUAL), *((width, hold) for width in WIDTHS for hold in HOLDS)]

    def carriers(some_old: Floats, some_new: Floats, _: Ints) -> list[Carrier]:
        base = fit_drift(some_old, some_new, strength).map
        missed, spread = some_new - base(some_old), typical_distance(some_old)
        kept = affine_numbers(old.shape[1]) + some_old.size + missed.size
        return [
            ByPosition(_Corrected(base, some_old, missed, width * spread, hold), kept)
            for width, hold in settings
        ]

    best = best_candidate(old, new, labels, carriers)
    return carriers(old, new, labels)[best or 0]


@dataclass(frozen=True, slots=True, eq=False)
class _Corrected:
    map: AffineMap
    images: Floats
    missed: Floats
    width: float
    hold: float

    def __call__(self, points: Floats) -> Floats:
        carried = self.map(points)
        if self.hold == NO_RESIDUAL:
            return carried
        squared = np.square(points).sum(axis=1)[:, None] + np.square(self.images).sum(axis=1)
        squared -= 2 * points @ self.images.T
        weights = np.exp(-np.maximum(squared, 0.0) / (2 * self.width**2))
        return np.asarray(carried + weights @ self.missed / (self.hold + weights.sum(axis=1, keepdims=True)))
