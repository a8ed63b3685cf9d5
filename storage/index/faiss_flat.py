"""Exact inner-product search by faiss, under our own ids.

A process that has used faiss must not fork afterwards: with two threads the child hangs in its first search.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import CorruptIndex, GalleryError
from continual_dml.records import Neighbours
from storage.index.checks import check_queries, check_vectors
from storage.index.exact_order import best_first, empty_answer
from storage.index.stored import StoredIndex


class FaissFlatIndex(StoredIndex):
    """An ``IndexIDMap2`` over an ``IndexFlatIP``; :meth:`build` and :meth:`from_bytes` make one."""

    file_name = "index.faiss"

    def __init__(self, index: Any, ids: NDArray[np.int64]) -> None:  # noqa: ANN401 - faiss has no types
        self._index = index
        self._ids = ids

    @classmethod
    def build(cls, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> FaissFlatIndex:
        """Index unit ``vectors`` (N, D) under ``ids`` (N,)."""
        import faiss

        check_vectors(ids, vectors)
        index = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))
        index.add_with_ids(np.ascontiguousarray(vectors), np.ascontiguousarray(ids))
        return cls(index, ids.copy())

    @classmethod
    def from_bytes(cls, content: bytes) -> FaissFlatIndex:
        """Open what :meth:`to_bytes` gave; faiss has no checksum of its own, so check the hash first."""
        import faiss

        try:
            index: Any = faiss.deserialize_index(np.frombuffer(content, dtype=np.uint8))
            if not isinstance(index, faiss.IndexIDMap2):
                raise CorruptIndex(f"{cls.file_name} holds an index of another kind")
            inner = faiss.downcast_index(index.index)
            if not isinstance(inner, faiss.IndexFlatIP):
                raise CorruptIndex(f"{cls.file_name} holds an index of another kind")
            ids = faiss.vector_to_array(index.id_map).astype(np.int64)
            vectors = inner.reconstruct_n(0, inner.ntotal)
            check_vectors(ids, np.asarray(vectors).reshape(-1, index.d))
        except (RuntimeError, AttributeError, ValueError, AssertionError, GalleryError) as error:
            reason = " ".join(str(error).split())[:200]
            raise CorruptIndex(
                f"{cls.file_name} is no index of this cdml ({reason}): restore the workspace from a backup"
            ) from error
        return cls(index, ids)

    def to_bytes(self) -> bytes:
        """Return faiss's own document."""
        import faiss

        return bytes(faiss.serialize_index(self._index).tobytes())

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._index.d)

    @property
    def ids(self) -> NDArray[np.int64]:
        """All ids (N,), in the order of insertion."""
        return self._ids

    def among(self, ids: NDArray[np.int64]) -> FaissFlatIndex:
        """Return an index of those of its items that are among ``ids`` (n,), in any order."""
        rows = np.flatnonzero(np.isin(self._ids, ids))
        vectors = np.asarray(self._index.index.reconstruct_n(0, len(self))).reshape(-1, self.dimension)
        return self.build(self._ids[rows], vectors[rows])

    def search(self, queries: NDArray[np.float32], k: int) -> Neighbours:
        """Return the ``min(k, len(self))`` best items per query (Q, D), the smaller id first on ties."""
        wanted = check_queries(queries, self.dimension, k)
        k = min(k, len(self))
        if k == 0 or len(wanted) == 0:
            return empty_answer(len(wanted), k)
        return best_first(self._index.search, wanted, k, len(self))
