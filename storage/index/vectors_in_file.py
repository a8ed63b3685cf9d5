"""Indexes whose vectors lie in their file as they are, to be mapped and read where a search needs them."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from continual_dml.records import Neighbours
from storage.index.exact_order import best_first
from storage.index.stored import FileIndex
from storage.tensor_files import Content

if TYPE_CHECKING:
    from typing_extensions import Self


class VectorsInFile(FileIndex):
    """``ids`` (N,) and unit ``vectors`` (N, D) side by side; the subclass says how they are searched."""

    file_name = "index.safetensors"
    maps = True

    def __init__(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        self._ids = ids
        self._vectors = vectors

    @abstractmethod
    def _nearest(
        self, queries: NDArray[np.float32], fetched: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return similarities and ids (Q, fetched) of the nearest items, best first."""

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Open what :meth:`to_bytes` gave."""
        return cls.from_buffer(content, proven=False)

    @classmethod
    @abstractmethod
    def from_buffer(cls, content: Content, *, proven: bool) -> Self:
        """Search in ``content``, which must not change any more."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._vectors.shape[1])

    @property
    def ids(self) -> NDArray[np.int64]:
        """All ids (N,), in the order of insertion."""
        return self._ids

    def search(self, queries: NDArray[np.float32], k: int) -> Neighbours:
        """Return ``min(k, len(self))`` items per query (Q, D), best first, the smaller id on ties."""
        return best_first(self._nearest, queries, self.dimension, k, len(self))
