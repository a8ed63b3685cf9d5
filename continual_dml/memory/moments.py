"""First and second moments of features before and after training, gathered batch by batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import TrainingError

Floats = NDArray[np.float64]


@dataclass(slots=True, eq=False)
class PairedMoments:
    """What a drift fit needs to know of the same images' features by the old model (a) and the new one (b).

    ``count`` images; ``mean_a``, ``mean_b`` (d,); ``scatter_aa``, ``scatter_ba``, ``scatter_bb`` (d, d): sums
    over images of the outer products of centred features. Everything is float64 and centred on the running
    mean, so that features far from the origin lose no digits, and the size does not depend on the images.

    Source: Chan, Golub, LeVeque 1979, "Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances".

    >>> moments = PairedMoments.empty(1)
    >>> moments.update(np.array([[1.0]]), np.array([[2.0]]))
    >>> moments.update(np.array([[3.0]]), np.array([[6.0]]))
    >>> moments.count, moments.mean_b.tolist(), moments.c_aa.tolist(), moments.c_ba.tolist()
    (2, [4.0], [[1.0]], [[2.0]])
    """

    count: int
    mean_a: Floats
    mean_b: Floats
    scatter_aa: Floats
    scatter_ba: Floats
    scatter_bb: Floats

    @classmethod
    def empty(cls, dimension: int) -> PairedMoments:
        """Return the moments of no image at all, for features of ``dimension`` d."""
        square = (dimension, dimension)
        return cls(0, np.zeros(dimension), np.zeros(dimension), *(np.zeros(square) for _ in range(3)))

    def update(self, before: NDArray[np.floating], after: NDArray[np.floating]) -> None:
        """Add a batch of images, in place.

        Args:
            before: (N, d) features by the old model.
            after: (N, d) features of the same images by the new one.

        Raises:
            TrainingError: the two are not of the same images, or not of dimension d.
        """
        a, b = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
        if a.shape != b.shape or a.shape[1:] != self.mean_a.shape:
            raise TrainingError(
                f"features of shapes {a.shape} and {b.shape} were given to moments of dimension "
                f"{len(self.mean_a)}; pass both models' features of the same images, shape (N, d)"
            )
        if len(a) == 0:
            return
        mean_a, mean_b = a.mean(axis=0), b.mean(axis=0)
        a, b = a - mean_a, b - mean_b
        self._absorb(PairedMoments(len(a), mean_a, mean_b, a.T @ a, b.T @ a, b.T @ b))

    def merged(self, other: PairedMoments) -> PairedMoments:
        """Return the moments of both sets of images together; neither is changed."""
        both = PairedMoments(
            self.count,
            self.mean_a.copy(),
            self.mean_b.copy(),
            self.scatter_aa.copy(),
            self.scatter_ba.copy(),
            self.scatter_bb.copy(),
        )
        both._absorb(other)
        return both

    @property
    def c_aa(self) -> Floats:
        """Covariance (d, d) of the old features, divided by the count; there must be images."""
        return self.scatter_aa / self.count

    @property
    def c_ba(self) -> Floats:
        """Covariance (d, d) of the new features (rows) with the old ones (columns)."""
        return self.scatter_ba / self.count

    @property
    def c_bb(self) -> Floats:
        """Covariance (d, d) of the new features."""
        return self.scatter_bb / self.count

    def _absorb(self, other: PairedMoments) -> None:
        total = self.count + other.count
        if total == 0:
            return
        gap_a, gap_b = other.mean_a - self.mean_a, other.mean_b - self.mean_b
        weight = self.count * other.count / total
        self.scatter_aa += other.scatter_aa + weight * np.outer(gap_a, gap_a)
        self.scatter_ba += other.scatter_ba + weight * np.outer(gap_b, gap_a)
        self.scatter_bb += other.scatter_bb + weight * np.outer(gap_b, gap_b)
        self.mean_a += gap_a * (other.count / total)
        self.mean_b += gap_b * (other.count / total)
        self.count = total
