"""Affine maps from one generation's feature space into the next one's, and how one is fitted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import TrainingError
from continual_dml.memory.moments import PairedMoments

Matrix = NDArray[np.float64]
Kept = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class AffineMap:
    """``x -> x @ matrix.T + offset`` for rows x (d,); ``matrix`` (e, d) and ``offset`` (e,).

    A map that is kept is in single precision; what is computed with one is in double precision.
    """

    matrix: Kept
    offset: Kept

    @classmethod
    def identity(cls, dimension: int) -> AffineMap:
        """Return the map that leaves everything where it is."""
        return cls(np.eye(dimension), np.zeros(dimension))

    def __call__(self, points: NDArray[np.floating]) -> Matrix:
        """Return the images (N, e) of ``points`` (N, d)."""
        return np.asarray(points, dtype=np.float64) @ self.matrix.T + self.offset

    def after(self, first: AffineMap) -> AffineMap:
        """Return the one map that applies ``first`` and then this one."""
        matrix = self.wide
        return AffineMap(matrix @ first.matrix, matrix @ first.offset + self.offset)

    @property
    def wide(self) -> Matrix:
        """The matrix (e, d) in double precision."""
        return np.asarray(self.matrix, dtype=np.float64)

    def as_stored(self) -> AffineMap:
        """Return the map with the precision that it is kept with: what is read back is what was used."""
        return AffineMap(self.matrix.astype(np.float32), self.offset.astype(np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class DriftFit:
    """A fitted map and the covariance (d, d) of what it leaves unexplained."""

    map: AffineMap
    residual: Matrix


def fit_drift(before: NDArray[np.floating], after: NDArray[np.floating], strength: float | None) -> DriftFit:
    """Fit the affine map from features of the old model to features of the new one, on the same images.

    Args:
        before: (N, d) features by the old model (a).
        after: (N, d) features of the same images by the new model (b).
        strength: lambda, relative to the mean variance of ``before``; None for the identity.

    Returns:
        The map and the residual covariance; see :func:`fit_drift_from_moments`.

    Raises:
        TrainingError: the two arrays differ in shape, or there is no image.
    """
    moments = PairedMoments.empty(before.shape[1])
    moments.update(before, after)
    return fit_drift_from_moments(moments, strength)


def fit_drift_from_moments(moments: PairedMoments, strength: float | None) -> DriftFit:
    """Fit the affine map from the old feature space to the new one, from moments gathered in any order.

    Ridge regression toward the identity, so that directions which the new images never excite stay put::

        A = I + (C_ba - C_aa)(C_aa + lambda tr(C_aa)/d I)^-1        g(x) = mean_b + A (x - mean_a)
        R = C_bb - A C_ba' - C_ba A' + A C_aa A'

    Args:
        moments: of the same images' features by the old model (a) and the new one (b), of dimension d.
        strength: lambda, relative to the mean variance of the old features; None for the identity, whose
            residual is the second moment of the drift itself.

    Returns:
        The map and the residual covariance R, divided by the number of images.

    Raises:
        TrainingError: the moments are of no image.

    Source: docs/methods.md, "Drift maps".

    >>> before = np.array([[1.0], [3.0]])  # moves to 2 and 6: C_aa = 1, C_ba = 2, A = 1 + 1 / (1 + lambda)
    >>> fit = fit_drift(before, 2 * before, strength=1.0)
    >>> fit.map.matrix.tolist(), fit.map(np.array([[2.0]])).tolist(), fit.residual.tolist()
    ([[1.5]], [[4.0]], [[0.25]])
    """
    if moments.count == 0:
        raise TrainingError("a drift map was to be fitted to no image at all; pass features of at least one")
    c_aa, c_ba, c_bb = moments.c_aa, moments.c_ba, moments.c_bb
    dimension = len(c_aa)
    if strength is None:
        shift = moments.mean_b - moments.mean_a
        moved = c_bb - c_ba - c_ba.T + c_aa + np.outer(shift, shift)
        return DriftFit(AffineMap.identity(dimension), (moved + moved.T) / 2)
    ridge = strength * np.trace(c_aa) / dimension
    if ridge <= 0.0:  # all images look the same to the old model: only the shift can be known
        return DriftFit(AffineMap(np.eye(dimension), moments.mean_b - moments.mean_a), c_bb)
    matrix = np.eye(dimension) + np.linalg.solve(c_aa + ridge * np.eye(dimension), (c_ba - c_aa).T).T
    cross = matrix @ c_ba.T
    residual = c_bb - cross - cross.T + matrix @ c_aa @ matrix.T
    shift = moments.mean_b - matrix @ moments.mean_a
    return DriftFit(AffineMap(matrix, shift), (residual + residual.T) / 2)
