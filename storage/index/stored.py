"""What every index offers beyond searching: it is built from vectors and goes to a file and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from continual_dml.ports import VectorIndex
from continual_dml.records import Neighbours
from storage.tensor_headers import Content


class StoredIndex(ABC):
    """A ``continual_dml.ports.VectorIndex`` that a generation keeps, in a file or elsewhere."""

    file_name: str
    exact: ClassVar[bool] = True
    """Whether the best items are always found; what is missed otherwise is measured at publication."""

    @abstractmethod
    def to_bytes(self) -> bytes:
        """Return the index as one document."""

    @property
    @abstractmethod
    def dimension(self) -> int:
        """Length of a vector."""

    @property
    @abstractmethod
    def ids(self) -> NDArray[np.int64]:
        """All ids (N,), in the order of insertion."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def removed(self) -> NDArray[np.int64]:
        """Ids (n,), ascending, that the index holds and leaves out."""
        return np.empty(0, dtype=np.int64)

    def without(self, ids: NDArray[np.int64]) -> StoredIndex | None:
        """Return an index that leaves out those of its items that are among ``ids`` (n,), in the same file.

        Returns:
            None where the kind has to be built anew instead.
        """
        del ids
        return None

    def prove(self) -> None:  # noqa: B027 - most kinds have nothing to add
        """Check afresh what does not lie in the file; a kind that is all in its file has nothing to check.

        Raises:
            CorruptIndex: it differs from what was published.
        """

    @abstractmethod
    def among(self, ids: NDArray[np.int64]) -> VectorIndex:
        """Return an index of those of its items that are among ``ids`` (n,), in any order."""

    @abstractmethod
    def search(self, queries: NDArray[np.float32], k: int) -> Neighbours:
        """Return the ``min(k, len(self))`` best items per query (Q, D), best first, the smaller id on ties.

        Raises:
            DimensionMismatch: the queries have another dimension.
            GalleryError: a query is not finite, or ``k`` is negative.
        """


class IndexKind(Protocol):
    """How indexes of one kind are built and opened: a class derived from :class:`FileIndex`, or an object."""

    @property
    def maps(self) -> bool:
        """Whether :meth:`from_buffer` searches in the buffer itself, so that a file is best mapped."""

    def build(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> StoredIndex:
        """See :meth:`FileIndex.build`."""

    def from_bytes(self, content: bytes) -> StoredIndex:
        """See :meth:`FileIndex.from_bytes`."""

    def from_buffer(self, content: Content, *, proven: bool) -> StoredIndex:
        """See :meth:`FileIndex.from_buffer`."""


class FileIndex(StoredIndex):
    """An index that is all in its file."""

    maps: ClassVar[bool] = False
    """Whether :meth:`from_buffer` searches in the buffer itself, so that a file is best mapped."""
    thins: ClassVar[bool] = False
    """Whether :meth:`without` gives an index, so that opening one for that is worth while."""

    @classmethod
    @abstractmethod
    def build(cls, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> FileIndex:
        """Index unit ``vectors`` (N, D) under ``ids`` (N,).

        Raises:
            GalleryError: ids occur twice, or a vector is not finite or not of unit length.
        """

    @classmethod
    @abstractmethod
    def from_bytes(cls, content: bytes) -> FileIndex:
        """Open what :meth:`to_bytes` gave; the caller has checked its hash.

        Raises:
            CorruptIndex: the content is no such index, or breaks the rules of :meth:`build`.
        """

    @classmethod
    def from_buffer(cls, content: Content, *, proven: bool) -> FileIndex:
        """Open what :meth:`to_bytes` gave, without a copy where the kind can; raises as :meth:`from_bytes`.

        Args:
            content: must not change any more; the caller has checked its hash.
            proven: whether this very content was opened before, so that no rule has to be checked again.
        """
        del proven
        return cls.from_bytes(bytes(content))
