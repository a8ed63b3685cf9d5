"""The discriminant head: an embedding computed in closed form from class statistics, not trained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from continual_dml.memory.class_statistics import ClassStatistics

Floats = NDArray[np.float64]
SMALLEST_NORM = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class DiscriminantHead:
    """``embedding = normalise((feature - centre) @ projection)``; ``projection`` (F, D), ``centre`` (F,)."""

    projection: Floats
    centre: Floats

    def __call__(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return unit embeddings (N, D) of stored features (N, F)."""
        return unit_rows((np.asarray(features, dtype=np.float64) - self.centre) @ self.projection)


def unit_rows(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return each row (N, D) at unit length, as float32; a zero row stays zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (vectors / np.maximum(norms, SMALLEST_NORM)).astype(np.float32)
    return unit


def fit_discriminant_head(
    statistics: ClassStatistics, shrinkage: float, embedding_dim: int
) -> DiscriminantHead:
    """Compute the head that spreads class means and shrinks the scatter within classes.

    ::

        S = S_w/n + lambda tr(S_w)/(n F) I        W = S^-1/2 V_D

    where V_D holds the leading right singular vectors of the whitened, centred class means. When there are
    fewer than D of them, the leading directions of the whitened total covariance, orthogonal to the others,
    fill up to D.

    Args:
        statistics: of all classes seen so far, in the live model's feature space.
        shrinkage: lambda, relative to the mean within-class variance.
        embedding_dim: D; no more than F directions exist, so the head may be narrower.

    Source: regularised linear discriminant analysis (Friedman 1989); docs/methods.md, "Discriminant head".
    """
    dimension = statistics.means.shape[1]
    within = statistics.scatter / statistics.total
    spread = np.trace(within) / dimension
    within = within + (shrinkage * spread + SMALLEST_NORM) * np.eye(dimension)
    variances, axes = np.linalg.eigh(within)
    whitening = (axes / np.sqrt(np.maximum(variances, SMALLEST_NORM))) @ axes.T
    centre = statistics.means.mean(axis=0)
    means = (statistics.means - centre) @ whitening
    width = min(embedding_dim, dimension)
    directions = _discriminant_directions(means, width)
    if directions.shape[1] < width:
        extra = _total_directions(statistics, whitening, means, directions, width - directions.shape[1])
        directions = np.concatenate([directions, extra], axis=1)
    return DiscriminantHead(whitening @ directions, centre)


def _discriminant_directions(whitened_means: Floats, width: int) -> Floats:
    _, strengths, rows = np.linalg.svd(whitened_means, full_matrices=False)
    real = strengths > max(strengths[0], SMALLEST_NORM) * 1e-9
    leading: Floats = rows[real][:width].T
    return leading


def _total_directions(
    statistics: ClassStatistics, whitening: Floats, whitened_means: Floats, taken: Floats, count: int
) -> Floats:
    weights = statistics.counts / statistics.total
    total = whitening @ (statistics.scatter / statistics.total) @ whitening
    total = total + (whitened_means * weights[:, None]).T @ whitened_means
    free = np.eye(len(total)) - taken @ taken.T
    _, axes = np.linalg.eigh(free @ total @ free)
    leading = axes[:, ::-1][:, :count]
    # What eigh returns for the null space of `free` may lean into `taken`; remove that part once more.
    leading = leading - taken @ (taken.T @ leading)
    orthonormal, _ = np.linalg.qr(leading)
    return orthonormal
