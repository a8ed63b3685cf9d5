"""The discriminant head: an embedding computed in closed form from class statistics, not trained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from continual_dml.memory.class_statistics import ClassStatistics
from continual_dml.memory.decompositions import thin_svd
from continual_dml.memory.drift import AffineMap

Floats = NDArray[np.float64]
SMALLEST_NORM = 1e-12
FOLDS = 5
FEWEST_CLASSES = 10
"""Below this many classes nothing can be said of how well a direction tells others apart."""
NEIGHBOURS = 9


@dataclass(frozen=True, slots=True, eq=False)
class DiscriminantHead:
    """``embedding = normalise((feature - centre) @ projection)``; ``projection`` (F, D), ``centre`` (F,)."""

    projection: Floats
    centre: Floats

    def __call__(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return unit embeddings (N, D) of stored features (N, F)."""
        return unit_rows(self.lengthy(features))

    def lengthy(self, features: NDArray[np.floating]) -> Floats:
        """Return the embeddings (N, D) before they are brought to unit length."""
        return np.asarray((np.asarray(features, dtype=np.float64) - self.centre) @ self.projection)

    @property
    def affine(self) -> AffineMap:
        """:meth:`lengthy` as a map (D, F)."""
        return AffineMap(self.projection.T, -self.centre @ self.projection)

    def slope(self, features: NDArray[np.floating]) -> Floats:
        """Return how :meth:`lengthy` changes with a feature (D, F); the same everywhere."""
        del features
        return self.projection.T


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

        S = S_w/n + lambda tr(S_w)/(n F) I        W = S^-1/2 V_D diag(sqrt(b_k / (b_k + w_k)))

    V_D holds the leading right singular vectors of the whitened, centred class means; where there are fewer
    than D of them, the leading axes of the whitened scatter, made orthogonal to the others, fill up to D. b_k
    is the variance between classes along the k-th of these directions and w_k that within classes: a
    direction counts by how well it tells classes apart. b_k is judged on classes that had no part in
    choosing the direction (five folds), less what the mean of so few images varies by itself, and averaged
    over directions of neighbouring rank. With fewer than ten classes all directions count the same.

    Args:
        statistics: of all classes seen so far, in the live model's feature space.
        shrinkage: lambda, relative to the mean within-class variance.
        embedding_dim: D; no more than F directions exist, so the head may be narrower.

    Source: regularised linear discriminant analysis (Friedman 1989), with the weights of a two-covariance
    model of classes; docs/methods.md, "Discriminant head", and docs/adr/0011.
    """
    space = _Whitened.of(statistics, shrinkage)
    dimension, classes = space.axes.shape[0], len(statistics.means)
    width = min(embedding_dim, dimension)
    fold_of = np.arange(classes) % FOLDS
    enough = classes >= FEWEST_CLASSES
    smallest = classes - int(np.bincount(fold_of).max()) if enough else classes
    leading = min(width, max(smallest - 1, 0))
    directions = space.directions(space.means, leading, width)
    weights = np.ones(width)
    if enough:
        strengths = np.zeros(width)
        for fold in range(FOLDS):
            strengths += space.strengths(fold_of == fold, leading, width)
        between = np.maximum(_smoothed(strengths / classes, leading), 0.0)
        weights = np.sqrt(between / (between + space.within(directions) + SMALLEST_NORM))
    return DiscriminantHead(space.whitening @ (directions * weights), space.centre)


@dataclass(frozen=True, slots=True, eq=False)
class _Whitened:
    """Class means (C, F) in the space where the shrunk scatter within classes is the identity.

    ``axes`` (F, F): of the scatter, the widest first; ``left`` (F,): what of the unit variance along each is
    real scatter and not shrinkage.
    """

    whitening: Floats
    centre: Floats
    means: Floats
    counts: Floats
    axes: Floats
    left: Floats

    @classmethod
    def of(cls, statistics: ClassStatistics, shrinkage: float) -> _Whitened:
        dimension = statistics.means.shape[1]
        within = statistics.scatter / statistics.total
        ridge = shrinkage * np.trace(within) / dimension + SMALLEST_NORM
        variances, axes = np.linalg.eigh(within)
        variances, axes = np.maximum(variances[::-1], 0.0), axes[:, ::-1]
        whitening = (axes / np.sqrt(variances + ridge)) @ axes.T
        centre = statistics.means.mean(axis=0)
        return cls(
            whitening,
            centre,
            (statistics.means - centre) @ whitening,
            statistics.counts.astype(np.float64),
            axes,
            variances / (variances + ridge),
        )

    def directions(self, means: Floats, leading: int, width: int) -> Floats:
        """Return ``width`` orthonormal columns (F, width), ``leading`` of them chosen by ``means``."""
        _, strengths, rows = thin_svd(means - means.mean(axis=0))
        real = strengths[:leading] > max(strengths.max(initial=0.0), SMALLEST_NORM) * 1e-9
        chosen = rows[:leading][real].T
        orthonormal, _ = np.linalg.qr(np.concatenate([chosen, self.axes[:, :width]], axis=1))
        return np.asarray(orthonormal[:, :width])

    def strengths(self, held_out: NDArray[np.bool_], leading: int, width: int) -> Floats:
        """Return, summed over the held-out classes, their squared distance from the others' mean (width,).

        Along directions chosen without them, and less the variance of a mean of as many images.
        """
        others = self.means[~held_out]
        directions = self.directions(others, leading, width)
        along = (self.means[held_out] - others.mean(axis=0)) @ directions
        by_chance = self.within(directions)[None] / self.counts[held_out][:, None]
        return np.asarray((along**2 - by_chance).sum(axis=0))

    def within(self, directions: Floats) -> Floats:
        """Return the variance within classes along each direction (width,), at most 1."""
        return np.asarray(((self.axes.T @ directions) ** 2 * self.left[:, None]).sum(axis=0))


def _smoothed(strengths: Floats, leading: int) -> Floats:
    """Return running means over neighbouring ranks, of the chosen and of the filled-up directions apart."""
    return np.concatenate([_running_mean(part) for part in np.split(strengths, [leading])])


def _running_mean(values: Floats) -> Floats:
    window = np.ones(NEIGHBOURS)
    reach = NEIGHBOURS // 2
    padded = np.pad(values, reach)
    counted = np.pad(np.ones(len(values)), reach)
    if not len(values):
        return values
    return np.asarray(np.convolve(padded, window, "valid") / np.convolve(counted, window, "valid"))
