"""Exact search that reads half as much: 16-bit copies of the vectors choose, the vectors decide."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import GalleryError
from storage.index.best_products import best_products
from storage.index.checks import UNIT_TOLERANCE
from storage.index.half_products import exact_torch
from storage.index.refined import RefinedIndex

_MORE = 4
_MANY = 16
"""From so many queries at once a matrix product is faster than faiss, which takes one after the other."""
_HALF_ROUNDING, _HALF_STEP = 2.0**-11, 2.0**-25  # of a number; of one that is almost zero
_SINGLE_ROUNDING = 2.0**-23


class FlatF16Index(RefinedIndex):
    """Compares with every vector in 16 bits, then again in 32 with all that could be among the best.

    How far rounding can move a similarity is known, so candidates are added until nothing else can be among
    the best: the answer is the one of ``flat``.
    """

    @classmethod
    def _encoded(cls, vectors: NDArray[np.float32]) -> NDArray[np.float16]:
        return vectors.astype(np.float16)

    @classmethod
    def _opened(cls, codes: NDArray[Any], vectors: NDArray[np.float32]) -> Any:  # noqa: ANN401
        import faiss

        if codes.dtype != np.float16 or codes.shape != vectors.shape:
            raise GalleryError("its 16-bit copy is not one of its vectors")
        index: Any = faiss.IndexScalarQuantizer(
            vectors.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        index.add_sa_codes(codes.view(np.uint8).reshape(len(codes), 2 * vectors.shape[1]))
        return index

    def _to_codes(
        self,
        queries: NDArray[np.float32],
        width: int,
        parameters: Any,  # noqa: ANN401
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        torch = exact_torch() if len(queries) >= _MANY else None
        if torch is None:
            return super()._to_codes(queries, width, parameters)
        return best_products(torch, self._codes, queries, width)

    def _nearest(
        self, queries: NDArray[np.float32], fetched: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        return self._nearest_of(queries, fetched, min(len(self), 2 * fetched + 32))

    def _nearest_of(
        self, queries: NDArray[np.float32], fetched: int, width: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        similarities, rows, least = self._candidates(queries, fetched, width)
        ids = self._ids[rows]
        unsure = least + self._error(queries) >= similarities[:, -1]
        if width < len(self) and unsure.any():
            wider = min(len(self), _MORE * width)
            similarities[unsure], ids[unsure] = self._nearest_of(queries[unsure], fetched, wider)
        return similarities, ids

    def _error(self, queries: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return how far (Q,) the similarity to a 16-bit copy may be from the one to its vector."""
        dimension = self.dimension
        rounding = (1 + UNIT_TOLERANCE) * (_HALF_ROUNDING + 2 * dimension * _SINGLE_ROUNDING)
        lengths: NDArray[np.float64] = np.linalg.norm(queries.astype(np.float64), axis=1)
        return lengths * (rounding + math.sqrt(dimension) * _HALF_STEP)
