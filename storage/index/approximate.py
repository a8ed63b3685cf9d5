"""Approximate search by faiss for galleries too large to compare with one by one.

How much is missed is measured whenever such an index is built, and stored beside it. Restricted to some items
(:meth:`among`) the search is exact: as many come back as match.

A process that has used faiss must not fork afterwards: with two threads the child hangs in its first search.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import CorruptIndex, GalleryError
from continual_dml.records import Neighbours
from storage.index.checks import check_queries, check_vectors
from storage.index.exact_order import best_first, empty_answer
from storage.index.flat import FlatIndex
from storage.index.stored import StoredIndex

if TYPE_CHECKING:
    from typing_extensions import Self

_LEAST_PROBES = 8


class _Approximate(StoredIndex):
    """An ``IndexIDMap2`` over an approximate index of the subclass's kind."""

    file_name = "index.faiss"
    exact = False

    def __init__(self, index: Any, ids: NDArray[np.int64]) -> None:  # noqa: ANN401 - faiss has no types
        self._index = index
        self._ids = ids

    @classmethod
    @abstractmethod
    def _made(cls, vectors: NDArray[np.float32]) -> Any:  # noqa: ANN401
        """Return an index that is ready to take ``vectors`` (N, D)."""

    @classmethod
    @abstractmethod
    def _is_own(cls, index: Any) -> bool:  # noqa: ANN401
        """Say whether ``index`` is of this kind."""

    @abstractmethod
    def _parameters(self, k: int) -> Any:  # noqa: ANN401
        """Return how widely to look for ``k`` neighbours."""

    @classmethod
    def build(cls, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> Self:
        """Index unit ``vectors`` (N, D) under ``ids`` (N,)."""
        import faiss

        check_vectors(ids, vectors)
        vectors = np.ascontiguousarray(vectors)
        index = faiss.IndexIDMap2(cls._made(vectors))
        index.add_with_ids(vectors, np.ascontiguousarray(ids))
        return cls(index, ids.copy())

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Open what :meth:`to_bytes` gave; faiss has no checksum of its own, so check the hash first."""
        import faiss

        try:
            index: Any = faiss.deserialize_index(np.frombuffer(content, dtype=np.uint8))
            if not isinstance(index, faiss.IndexIDMap2) or not cls._is_own(faiss.downcast_index(index.index)):
                raise CorruptIndex(f"{cls.file_name} holds an index of another kind")
            ids = faiss.vector_to_array(index.id_map).astype(np.int64)
            opened = cls(index, ids)
            check_vectors(ids, opened._vectors())
        except (RuntimeError, AttributeError, ValueError, AssertionError, GalleryError) as error:
            reason = " ".join(str(error).split())[:200]
            raise CorruptIndex(
                f"{cls.file_name} is no index of this cdml ({reason}): restore the workspace from a backup"
            ) from error
        return opened

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

    def among(self, ids: NDArray[np.int64]) -> FlatIndex:
        """Return an exact index of those of its items that are among ``ids`` (n,), in any order."""
        rows = np.flatnonzero(np.isin(self._ids, ids))
        return FlatIndex(self._ids[rows], self._vectors()[rows])

    def search(self, queries: NDArray[np.float32], k: int) -> Neighbours:
        """Return ``min(k, len(self))`` items per query (Q, D), best first, nearly always the best ones."""
        wanted = check_queries(queries, self.dimension, k)
        k = min(k, len(self))
        if k == 0 or len(wanted) == 0:
            return empty_answer(len(wanted), k)
        return best_first(self._nearest, wanted, k, len(self))

    def _nearest(
        self, queries: NDArray[np.float32], fetched: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        similarities, ids = self._index.search(queries, fetched, params=self._parameters(fetched))
        short = (ids < 0).any(axis=1)  # faiss found fewer than there are
        if short.any():
            exact = FlatIndex(self._ids, self._vectors()).search(queries[short], fetched)
            similarities[short], ids[short] = exact.similarities, exact.ids
        return similarities, ids

    def _vectors(self) -> NDArray[np.float32]:
        inner = self._index.index
        vectors: NDArray[np.float32] = np.asarray(inner.reconstruct_n(0, inner.ntotal), dtype=np.float32)
        return vectors.reshape(-1, self.dimension)


class HnswIndex(_Approximate):
    """A graph of near neighbours: fast to ask, slow to build, more memory than the vectors."""

    _LINKS, _BUILD_WIDTH, _LEAST_WIDTH = 32, 200, 128

    @classmethod
    def _made(cls, vectors: NDArray[np.float32]) -> Any:  # noqa: ANN401
        import faiss

        index = faiss.IndexHNSWFlat(vectors.shape[1], cls._LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = cls._BUILD_WIDTH
        return index

    @classmethod
    def _is_own(cls, index: Any) -> bool:  # noqa: ANN401
        import faiss

        return isinstance(index, faiss.IndexHNSWFlat) and index.metric_type == faiss.METRIC_INNER_PRODUCT

    def _parameters(self, k: int) -> Any:  # noqa: ANN401
        import faiss

        return faiss.SearchParametersHNSW(  # type: ignore[attr-defined]
            efSearch=max(self._LEAST_WIDTH, 2 * k)
        )


class IvfIndex(_Approximate):
    """Vectors in cells around k-means centres: quick to build, no more memory than the vectors."""

    @classmethod
    def _made(cls, vectors: NDArray[np.float32]) -> Any:  # noqa: ANN401
        import faiss

        count, dimension = vectors.shape
        cells = max(1, min(int(4 * math.sqrt(count)), count // 64))
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dimension), dimension, cells, faiss.METRIC_INNER_PRODUCT)
        index.cp.min_points_per_centroid = 1  # else faiss writes warnings of its own
        index.train(vectors if count else np.eye(1, dimension, dtype=np.float32))
        index.make_direct_map()
        return index

    @classmethod
    def _is_own(cls, index: Any) -> bool:  # noqa: ANN401
        import faiss

        return isinstance(index, faiss.IndexIVFFlat) and index.metric_type == faiss.METRIC_INNER_PRODUCT

    def _parameters(self, k: int) -> Any:  # noqa: ANN401
        import faiss

        inner: Any = faiss.downcast_index(self._index.index)
        probes = min(inner.nlist, max(_LEAST_PROBES, inner.nlist // 8))
        return faiss.SearchParametersIVF(nprobe=probes)  # type: ignore[call-arg]
