"""What every estimator of drift is, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Carrier(Protocol):
    """Carries features from the old model's space into the new one's."""

    @property
    def kept(self) -> int:
        """How many numbers must be kept until the last older item is carried."""

    def __call__(self, points: NDArray[np.floating], labels: Ints) -> Floats:
        """Return ``points`` (n, d) as the new model would see them; ``labels`` (n,) are their categories.

        All items of a category are passed together; only estimators that go by category look at labels.
        """


class DriftEstimator(Protocol):
    """Fits a carrier to the new task's images, the only ones that both models see."""

    def __call__(self, before: NDArray[np.floating], after: NDArray[np.floating], labels: Ints) -> Carrier:
        """Return the carrier.

        Args:
            before: (N, d) features by the old model.
            after: (N, d) features of the same images by the new model.
            labels: (N,) their categories. Whatever is to be chosen is chosen on categories held out of these.
        """


@dataclass(frozen=True, slots=True, eq=False)
class ByPosition:
    """A carrier that goes by where a point lies, not by its category; ``kept`` as in :class:`Carrier`."""

    carry: Callable[[Floats], Floats]
    kept: int

    def __call__(self, points: NDArray[np.floating], labels: Ints) -> Floats:
        """Return the carried points (n, d)."""
        return self.carry(np.asarray(points, dtype=np.float64))


def affine_numbers(dimension: int) -> int:
    """Return how many numbers a square affine map of that dimension has.

    >>> affine_numbers(3)
    12
    """
    return dimension * (dimension + 1)
