"""Indexes whose vectors lie in their file as they are, to be mapped and read where a search needs them."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import CorruptIndex, GalleryError
from continual_dml.records import Neighbours
from storage.index.checks import check_vectors
from storage.index.exact_order import best_first
from storage.index.stored import FileIndex
from storage.tensor_files import view_tensors
from storage.tensor_headers import Content

if TYPE_CHECKING:
    from typing_extensions import Self


class VectorsInFile(FileIndex):
    """``ids`` (N,) and unit ``vectors`` (N, D) side by side; the subclass says how they are searched."""

    file_name = "index.safetensors"
    maps = True

    _TENSORS: tuple[str, ...] = ("ids", "vectors")
    """What lies in the file, by the names under which it is given to the constructor."""

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
    def from_buffer(cls, content: Content, *, proven: bool) -> Self:
        """Search in ``content``, which must not change any more."""
        tensors = view_tensors(content, cls.file_name)
        try:
            if not proven:
                check_vectors(tensors["ids"], tensors["vectors"])
            return cls(**{name: tensors[name] for name in cls._TENSORS})
        except (KeyError, RuntimeError, AttributeError, ValueError, AssertionError, GalleryError) as error:
            reason = " ".join(str(error).split())[:200]
            raise CorruptIndex(f"{cls.file_name} is no index of this cdml: {reason}") from error

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
