"""Exact inner-product search over vectors that stay in their file: opening one reads next to nothing.

A process that has used faiss must not fork afterwards: with two threads the child hangs in its first search.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import CorruptIndex, GalleryError
from continual_dml.records import Neighbours
from storage.index.checks import check_vectors
from storage.index.exact_order import best_first
from storage.index.stored import FileIndex
from storage.tensor_files import Content, render_tensors, view_tensors

if TYPE_CHECKING:
    from typing_extensions import Self


class FlatIndex(FileIndex):
    """Ids and vectors side by side, searched by faiss where they lie."""

    file_name = "index.safetensors"
    maps = True

    def __init__(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        self._ids = ids
        self._vectors = vectors

    @classmethod
    def build(cls, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> Self:
        """Index unit ``vectors`` (N, D) under ``ids`` (N,)."""
        check_vectors(ids, vectors)
        return cls(ids.copy(), np.array(vectors, order="C"))

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Open what :meth:`to_bytes` gave."""
        return cls.from_buffer(content, proven=False)

    @classmethod
    def from_buffer(cls, content: Content, *, proven: bool) -> Self:
        """Search in ``content``, which must not change any more."""
        tensors = view_tensors(content, cls.file_name)
        try:
            ids, vectors = tensors["ids"], tensors["vectors"]
            if not proven:
                check_vectors(ids, vectors)
        except (KeyError, GalleryError) as error:
            raise CorruptIndex(f"{cls.file_name} is no index of this cdml: {error}") from error
        return cls(ids, vectors)

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

    def among(self, ids: NDArray[np.int64]) -> Self:
        """Return an index of those of its items that are among ``ids`` (n,), in any order."""
        rows = np.flatnonzero(np.isin(self._ids, ids))
        return type(self)(self._ids[rows], self._vectors[rows])

    def search(self, queries: NDArray[np.float32], k: int) -> Neighbours:
        """Return the ``min(k, len(self))`` best items per query (Q, D), the smaller id first on ties."""
        return best_first(self._nearest, queries, self.dimension, k, len(self))

    def _nearest(
        self, queries: NDArray[np.float32], fetched: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        import faiss

        similarities, rows = faiss.knn(queries, self._vectors, fetched, metric=faiss.METRIC_INNER_PRODUCT)
        return similarities, self._ids[rows]
