"""Search in two steps: short codes choose candidates, and the vectors, in their file, settle the order.

The codes are what a search reads through, so they decide its speed and its memory; of the vectors, which are
mapped, only those of the candidates are read.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import CorruptIndex
from storage.index.checks import check_vectors
from storage.index.faiss_backed import search_arrays
from storage.index.flat import FlatIndex
from storage.index.vectors_in_file import VectorsInFile
from storage.tensor_files import render_tensors

if TYPE_CHECKING:
    from typing_extensions import Self


class RefinedIndex(VectorsInFile):
    """Ids, vectors and codes side by side in one file; the subclass says what the codes are."""

    _TENSORS = ("ids", "vectors", "codes")

    def __init__(self, ids: NDArray[np.int64], vectors: NDArray[np.float32], codes: NDArray[Any]) -> None:
        super().__init__(ids, vectors)
        self._codes = codes
        self._coarse = self._opened(codes, vectors)

    @classmethod
    @abstractmethod
    def _encoded(cls, vectors: NDArray[np.float32]) -> NDArray[Any]:
        """Return the codes of ``vectors`` (N, D) as an array to store."""

    @classmethod
    @abstractmethod
    def _opened(cls, codes: NDArray[Any], vectors: NDArray[np.float32]) -> Any:  # noqa: ANN401
        """Return the faiss index over the codes of ``vectors`` (N, D), whose ids are row numbers.

        Raises:
            GalleryError: they are not codes of so many vectors of this dimension.
        """

    @classmethod
    def build(cls, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> Self:
        """Index unit ``vectors`` (N, D) under ``ids`` (N,)."""
        check_vectors(ids, vectors)
        kept = np.array(vectors, order="C")
        return cls(ids.copy(), kept, cls._encoded(kept))

    def to_bytes(self) -> bytes:
        """Return ids, vectors and codes as one safetensors document."""
        return render_tensors({"ids": self._ids, "vectors": self._vectors, "codes": self._codes})

    def among(self, ids: NDArray[np.int64]) -> FlatIndex:
        """Return an exact index of those of its items that are among ``ids`` (n,), in any order."""
        rows = np.flatnonzero(np.isin(self._ids, ids))
        return FlatIndex(self._ids[rows], self._vectors[rows])

    def _candidates(
        self,
        queries: NDArray[np.float32],
        fetched: int,
        width: int,
        parameters: Any = None,  # noqa: ANN401 - faiss has no types
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
        """Return the best of the ``width`` items with the most similar codes.

        Returns:
            Their similarities and rows (Q, fetched), best first, row -1 where too few were found; and the
            least similarity (Q,) that a code among the ``width`` had.
        """
        to_codes, rows = self._to_codes(queries, width, parameters)
        if rows.max(initial=-1) >= len(self):
            raise CorruptIndex(f"{self.file_name} names rows that it does not have: run `cdml verify`")
        similarities = self._similarities(queries, rows)
        order = np.argsort(-similarities, axis=1, kind="stable")[:, :fetched]
        least: NDArray[np.float32] = to_codes[:, -1]
        return np.take_along_axis(similarities, order, axis=1), np.take_along_axis(rows, order, axis=1), least

    def _to_codes(
        self,
        queries: NDArray[np.float32],
        width: int,
        parameters: Any,  # noqa: ANN401
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return similarities to codes and rows (Q, width) of the most similar codes, best first."""
        return search_arrays(self._coarse, queries, width, parameters)

    def _similarities(self, queries: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return inner products (Q, n) with the vectors in ``rows`` (Q, n); -inf for row -1.

        Each is computed by itself, so that equal vectors get equal similarities.
        """
        similarities = np.empty(rows.shape, dtype=np.float32)
        for query, chosen, found in zip(queries, rows, similarities, strict=True):
            np.einsum("nd,d->n", self._vectors[chosen], query, out=found)
        similarities[rows < 0] = -np.inf
        return similarities
