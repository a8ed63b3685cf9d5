"""Exact search in plain numpy: the reference that faster indexes are compared with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import CorruptIndex, GalleryError
from continual_dml.records import Neighbours
from storage.index.checks import check_queries, check_vectors
from storage.index.stored import StoredIndex
from storage.tensor_files import parse_tensors, render_tensors


class NumpyExactIndex(StoredIndex):
    """Compares every query with every vector."""

    file_name = "index.safetensors"

    def __init__(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        check_vectors(ids, vectors)
        self._ids = ids
        self._vectors = vectors

    @classmethod
    def build(cls, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> NumpyExactIndex:
        """Index unit ``vectors`` (N, D) under ``ids`` (N,)."""
        return cls(ids.copy(), vectors.copy())

    @classmethod
    def from_bytes(cls, content: bytes) -> NumpyExactIndex:
        """Open what :meth:`to_bytes` gave."""
        tensors = parse_tensors(content, cls.file_name)
        try:
            return cls(tensors["ids"], tensors["vectors"])
        except (KeyError, GalleryError) as error:
            raise CorruptIndex(f"{cls.file_name} is no index of this cdml: {error}") from error

    def to_bytes(self) -> bytes:
        """Return ids and vectors as one safetensors document."""
        return render_tensors({"ids": self._ids, "vectors": self._vectors})

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._vectors.shape[1])

    @property
    def ids(self) -> NDArray[np.int64]:
        """All ids (N,), in the order of insertion."""
        return self._ids

    def among(self, ids: NDArray[np.int64]) -> NumpyExactIndex:
        """Return an index of those of its items that are among ``ids`` (n,), in any order."""
        rows = np.flatnonzero(np.isin(self._ids, ids))
        return NumpyExactIndex(self._ids[rows], self._vectors[rows])

    def search(self, queries: NDArray[np.float32], k: int) -> Neighbours:
        """Return the ``min(k, len(self))`` best items per query (Q, D), the smaller id first on ties."""
        wanted = check_queries(queries, self.dimension, k)
        similarities = wanted @ self._vectors.T  # (Q, N)
        ids = np.broadcast_to(self._ids, similarities.shape)
        order = np.lexsort((ids, -similarities))[:, : min(k, len(self))]
        return Neighbours(
            np.take_along_axis(ids, order, axis=1), np.take_along_axis(similarities, order, axis=1)
        )
