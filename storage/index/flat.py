"""Exact inner-product search over vectors that stay in their file: opening one reads next to nothing.

A process that has used faiss must not fork afterwards: with two threads the child hangs in its first search.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from storage.index.checks import check_vectors
from storage.index.vectors_in_file import VectorsInFile
from storage.tensor_files import render_tensors

if TYPE_CHECKING:
    from typing_extensions import Self


class FlatIndex(VectorsInFile):
    """Ids and vectors side by side, searched by faiss where they lie."""

    @classmethod
    def build(cls, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> Self:
        """Index unit ``vectors`` (N, D) under ``ids`` (N,)."""
        check_vectors(ids, vectors)
        return cls(ids.copy(), np.array(vectors, order="C"))

    def to_bytes(self) -> bytes:
        """Return ids and vectors as one safetensors document."""
        return render_tensors({"ids": self._ids, "vectors": self._vectors})

    def among(self, ids: NDArray[np.int64]) -> Self:
        """Return an index of those of its items that are among ``ids`` (n,), in any order."""
        rows = np.flatnonzero(np.isin(self._ids, ids))
        return type(self)(self._ids[rows], self._vectors[rows])

    def _nearest(
        self, queries: NDArray[np.float32], fetched: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        import faiss

        similarities, rows = faiss.knn(queries, self._vectors, fetched, metric=faiss.METRIC_INNER_PRODUCT)
        return similarities, self._ids[rows]
