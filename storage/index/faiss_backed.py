"""What all indexes that faiss keeps have in common: our own ids, its file format, and answers in our order.

A process that has used faiss must not fork afterwards: with two threads the child hangs in its first search.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import CorruptIndex, GalleryError
from continual_dml.records import Neighbours
from storage.index.checks import check_vectors
from storage.index.exact_order import best_first
from storage.index.flat import FlatIndex
from storage.index.stored import FileIndex

if TYPE_CHECKING:
    from typing_extensions import Self


def search_arrays(
    index: Any,  # noqa: ANN401 - faiss has no types
    queries: NDArray[np.float32],
    fetched: int,
    parameters: Any,  # noqa: ANN401
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return similarities and ids (Q, fetched) as faiss finds them, best first; id -1 past the last."""
    # faiss.contrib.torch_utils, once anything in the process has imported it, puts a search without
    # ``params`` in the place of this one, and keeps the first under another name.
    search = getattr(index, "search_numpy", index.search)
    similarities, ids = search(queries, fetched, params=parameters)
    return similarities, ids


class FaissIndex(FileIndex):
    """An ``IndexIDMap2`` over an index of the subclass's kind, in faiss's own file format."""

    file_name = "index.faiss"

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

    def _parameters(self, k: int) -> Any:  # noqa: ANN401
        """Return how widely to look for ``k`` neighbours; None where the kind looks everywhere."""
        del k

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
        rows = np.flatnonzero(np.isin(self.ids, ids))
        return FlatIndex(self.ids[rows], self._vectors()[rows])

    def search(self, queries: NDArray[np.float32], k: int) -> Neighbours:
        """Return ``min(k, len(self))`` items per query (Q, D), best first, the smaller id on ties."""
        return best_first(self._nearest, queries, self.dimension, k, len(self))

    def _nearest(
        self, queries: NDArray[np.float32], fetched: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        similarities, ids = search_arrays(self._index, queries, fetched, self._parameters(fetched))
        short = (ids < 0).any(axis=1)  # faiss found fewer than there are
        if short.any():
            exact = FlatIndex(self.ids, self._vectors()).search(queries[short], fetched)
            similarities[short], ids[short] = exact.similarities, exact.ids
        return similarities, ids

    def _vectors(self) -> NDArray[np.float32]:
        """Return the vectors (N, D) that :attr:`ids` names."""
        inner = self._index.index
        vectors: NDArray[np.float32] = np.asarray(inner.reconstruct_n(0, inner.ntotal), dtype=np.float32)
        return vectors.reshape(-1, self.dimension)
