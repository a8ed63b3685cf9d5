"""How far a drift map is to be trusted: for one step, at one point of the feature space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.memory.drift import DriftFit, Kept
from continual_dml.memory.moments import PairedMoments

Floats = NDArray[np.float64]
MOST_DIRECTIONS = 64
SMALLEST_VARIANCE = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class DriftDoubt:
    """What is left unexplained by a fitted map, R, and how much less is known away from the images it saw.

    The error that the map makes at a feature x has the covariance ``R (1 + leverage(x))``::

        leverage(x) = (1 + (x - m)'(C_aa + ridge I)^-1 (x - m)) / n

    the predictive variance of a ridge regression (m and C_aa: mean and covariance of the n old features). R
    and C_aa are kept along their leading directions; what is beyond them counts the same in all directions.

    ``count`` n; ``centre`` m (F,); ``axes`` (r, F) orthonormal with ``precisions`` (r,), the inverse of the
    variance plus ridge along each, ``rest_precision`` in all other directions; ``residual`` (s, F): R is
    about residual' residual + ``rest_residual`` I, the latter being the mean variance beyond the kept axes.
    What was read back is in single precision, as it is kept.
    """

    count: int
    centre: Kept
    axes: Kept
    precisions: Kept
    rest_precision: float
    residual: Kept
    rest_residual: float

    def leverage(self, features: NDArray[np.floating]) -> Floats:
        """Return (N,) how much larger than R the error's covariance is at each of ``features`` (N, F).

        An estimate that needs no more than single precision, which is twice as fast.
        """
        apart = np.asarray(features, dtype=np.float32) - self.centre.astype(np.float32)
        along = np.square(apart @ self.axes.astype(np.float32).T)
        beyond = np.maximum(np.einsum("nf,nf->n", apart, apart) - along.sum(axis=1), 0.0)
        squared: Floats = along.astype(np.float64) @ self.precisions + beyond * self.rest_precision
        return np.asarray((1.0 + squared) / self.count)

    def variance_after(self, following: Floats) -> float:
        """Return the trace of R once ``following`` (e, F), a linear map, has been applied to the error."""
        known = float(np.square(following @ self.residual.T).sum())
        return known + self.rest_residual * float(np.square(following).sum())

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the doubt as named arrays, for storage."""
        scalars = np.array([self.count, self.rest_precision, self.rest_residual], dtype=np.float64)
        return {
            "doubt.scalars": scalars,
            "doubt.centre": np.asarray(self.centre, dtype=np.float32),
            "doubt.axes": np.asarray(self.axes, dtype=np.float32),
            "doubt.precisions": np.asarray(self.precisions, dtype=np.float32),
            "doubt.residual": np.asarray(self.residual, dtype=np.float32),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> DriftDoubt:
        """Return the doubt that :meth:`to_arrays` gave."""
        count, rest_precision, rest_residual = arrays["doubt.scalars"].tolist()
        kept = {name: arrays[f"doubt.{name}"] for name in ("centre", "axes", "precisions", "residual")}
        return cls(int(count), **kept, rest_precision=rest_precision, rest_residual=rest_residual)


def doubt_of(
    moments: PairedMoments, fit: DriftFit, strength: float | None, held_out_error: float | None = None
) -> DriftDoubt:
    """Return how far to trust ``fit``.

    Args:
        moments: that it was fitted to.
        fit: the map and its residual covariance.
        strength: lambda that it was fitted with; None for the identity, which is as doubtful everywhere.
        held_out_error: mean squared error (of a whole feature) on categories that the map was not fitted to.
            A map fits the images it was fitted to better than others, so the residual is scaled to it; None
            takes the residual as it is.

    Source: docs/methods.md, "Drift maps".
    """
    dimension = len(moments.mean_a)
    trace = float(np.trace(fit.residual))
    scale = 1.0 if held_out_error is None or trace <= 0.0 else max(held_out_error / trace, 1.0)
    directions, variances, rest = _leading(fit.residual * scale)
    if strength is None:
        nothing = np.zeros((0, dimension)), np.zeros(0), 0.0
        axes, precisions, rest_precision = nothing
    else:
        ridge = strength * float(np.trace(moments.c_aa)) / dimension + SMALLEST_VARIANCE
        axes, along, beyond = _leading(moments.c_aa)
        precisions, rest_precision = 1.0 / (along + ridge), 1.0 / (beyond + ridge)
    residual = directions * np.sqrt(np.maximum(variances - rest, 0.0))[:, None]
    return DriftDoubt(moments.count, moments.mean_a, axes, precisions, rest_precision, residual, rest)


def _leading(covariance: Floats) -> tuple[Floats, Floats, float]:
    """Return the leading axes (r, F), the variances along them (r,), and the mean variance beyond."""
    values, vectors = np.linalg.eigh(covariance)
    order = np.argsort(values)[::-1][:MOST_DIRECTIONS]
    order = order[values[order] > max(values.max(initial=0.0), 0.0) * 1e-9]
    left = len(values) - len(order)
    beyond = max(float(values.sum() - values[order].sum()), 0.0)
    return vectors[:, order].T, values[order], beyond / left if left else 0.0
