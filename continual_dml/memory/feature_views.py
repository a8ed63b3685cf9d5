"""Feature views: vectors of stored items as an affine map of their stored features, computed when asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from continual_dml.memory.discriminant_head import SMALLEST_NORM, unit_rows
from continual_dml.memory.drift import AffineMap
from continual_dml.records import Lengths

Floats = NDArray[np.float64]
_ROWS, _FEW = 2048, 4
_ROUNDING = 2.0**-53


@dataclass(frozen=True, slots=True, eq=False)
class FeatureView:
    """``vector = normalise(matrix @ feature + offset)``; ``matrix`` (D, F) and ``offset`` (D,) in float64.

    A feature has one vector, to the bit: neither what stands beside it nor how many are asked for changes it.

    >>> view = FeatureView(np.array([[3.0, 0.0], [0.0, 4.0]]), np.zeros(2))
    >>> view(np.array([[1.0, 1.0]], dtype=np.float16)).tolist(), view.norms(np.array([[1.0, 1.0]])).tolist()
    ([[0.6000000238418579, 0.800000011920929]], [5.0])
    """

    matrix: Floats
    offset: Floats

    @classmethod
    def of(cls, carried: AffineMap) -> FeatureView:
        """Return the view of features that ``carried`` takes to where they are normalised."""
        return cls(carried.wide, np.asarray(carried.offset, dtype=np.float64))

    def __call__(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return unit vectors (n, D) of stored features (n, F); what is mapped to zero stays zero."""
        vectors = np.empty((len(features), len(self.offset)), dtype=np.float32)
        for rows, wide in _widened(features):
            vectors[rows] = self._few(wide) if len(wide) <= _FEW else self._many(wide)
        return vectors

    def nearly(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the same (n, D) faster, where what stands beside a feature may change the last bit."""
        vectors = np.empty((len(features), len(self.offset)), dtype=np.float32)
        for rows, _, lengthy in self._products(features):
            vectors[rows] = unit_rows(lengthy)
        return vectors

    def with_lengths(self, features: NDArray[np.floating]) -> tuple[NDArray[np.float32], Lengths]:
        """Return what :meth:`nearly` and :meth:`norms` do of features (n, F) in one pass, and the longest."""
        vectors = np.empty((len(features), len(self.offset)), dtype=np.float32)
        norms, longest = np.empty(len(features), dtype=np.float32), 0.0
        for rows, wide, lengthy in self._products(features):
            own = np.linalg.norm(lengthy, axis=1)
            vectors[rows], norms[rows] = lengthy / np.maximum(own, SMALLEST_NORM)[:, None], own
            longest = max(longest, float(np.einsum("nf,nf->n", wide, wide).max(initial=0.0)))
        return vectors, Lengths(norms, longest**0.5)

    def norms(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return how long (n,) the vectors of stored features (n, F) are before they are normalised.

        Not finite where a feature is not, or where a length is beyond float32.
        """
        norms = np.empty(len(features), dtype=np.float32)
        with np.errstate(invalid="ignore", over="ignore"):
            for rows, _, lengthy in self._products(features):
                norms[rows] = np.linalg.norm(lengthy, axis=1)
        return norms

    def _products(self, features: NDArray[np.floating]) -> Iterator[tuple[slice, Floats, Floats]]:
        """Yield a bounded number of rows at a time, their features and ``matrix @ feature + offset``."""
        for rows, wide in _widened(features):
            yield rows, wide, wide @ self.matrix.T + self.offset

    def _few(self, wide: Floats) -> NDArray[np.float32]:
        """Return the vectors (n, D) of features (n, F), each number summed in the same order."""
        matrix = np.ascontiguousarray(self.matrix)  # how it lies in memory decides the order too
        return unit_rows(np.einsum("nf,df->nd", wide, matrix) + self.offset)

    def _many(self, wide: Floats) -> NDArray[np.float32]:
        """Return what :meth:`_few` does, by a matrix product, whose order of summing is not known.

        Any order gives the same float32 number unless two of them lie next to each other within what it can
        change; features with such a number are taken one by one.
        """
        vectors = wide @ self.matrix.T + self.offset
        scale = np.maximum(np.sqrt(np.einsum("nd,nd->n", vectors, vectors)), SMALLEST_NORM)[:, None]
        vectors /= scale
        # Features and rows of the matrix, each with what the offset adds as one number more.
        lengths = np.sqrt(np.einsum("nf,nf->n", wide, wide) + 1.0)[:, None]  # (n, 1)
        reach = np.sqrt(np.einsum("df,df->d", self.matrix, self.matrix) + self.offset**2)  # (D,)
        step = 2 * (sum(self.matrix.shape) + 16) * _ROUNDING
        doubt = np.abs(vectors)
        doubt *= step * (lengths / scale * np.linalg.norm(reach) + 1.0)
        doubt += step * lengths / scale * reach
        lower: NDArray[np.float32] = (vectors - doubt).astype(np.float32)
        upper = (vectors + doubt).astype(np.float32)
        unclear = np.flatnonzero((lower != upper).any(axis=1))
        lower[unclear] = self._few(wide[unclear])
        return lower


def _widened(features: NDArray[np.floating]) -> Iterator[tuple[slice, Floats]]:
    """Yield a bounded number of rows at a time, and which they are."""
    for start in range(0, len(features), _ROWS):
        rows = slice(start, start + _ROWS)
        yield rows, features[rows].astype(np.float64, order="C")
