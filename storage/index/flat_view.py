"""Exact search over features: what ``flat`` becomes where the model moved and no vector was written.

The vector of an item is an affine view of its stored feature (``continual_dml.memory.feature_views``). The
features lie in files that are taken over from generation to generation; what is new is one small map for each
birth generation and one norm for each item.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import CorruptIndex, GalleryError
from continual_dml.memory.feature_views import FeatureView
from continual_dml.records import Neighbours
from storage.index.checks import check_queries
from storage.index.stored import StoredIndex
from storage.index.view_search import nearest
from storage.index.viewed_items import ViewedItems, check_norms, check_shapes, check_values
from storage.tensor_files import render_tensors, view_tensors
from storage.tensor_headers import Content

KIND = "flat-view"
FILE_NAME = "index-view.safetensors"


class ViewSelection:
    """Some items, all of them compared; a ``continual_dml.ports.VectorIndex``.

    Args:
        parts: the items, one part or more, whose views have the same shape.
    """

    def __init__(self, parts: Sequence[ViewedItems]) -> None:
        self.parts = tuple(parts)

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return len(self.parts[0].view.offset)

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def among(self, ids: NDArray[np.int64]) -> ViewSelection:
        """Return an index of those of its items that are among ``ids`` (n,), in any order."""
        return ViewSelection([part.among(ids) for part in self.parts])

    def search(self, queries: NDArray[np.float32], k: int) -> Neighbours:
        """Return ``min(k, len(self))`` items per query (Q, D), best first, the smaller id on ties."""
        wanted = check_queries(queries, self.dimension, k)
        k = min(k, len(self))
        if k == 0 or len(wanted) == 0:
            shape = len(wanted), k
            return Neighbours(np.empty(shape, dtype=np.int64), np.empty(shape, dtype=np.float32))
        similarities, ids = nearest(self.parts, wanted, k)
        return Neighbours(ids, similarities)


class FlatViewIndex(StoredIndex):
    """Norms in a file of its own, and features and maps in files of the generation.

    Args:
        parts: all items, by birth generation; at least one part.
    """

    file_name = FILE_NAME

    def __init__(self, parts: Sequence[ViewedItems]) -> None:
        self._all = ViewSelection(parts)
        self._ids: NDArray[np.int64] | None = None

    @classmethod
    def build(cls, parts: Sequence[ViewedItems]) -> FlatViewIndex:
        """Index items that are given for the first time.

        Raises:
            GalleryError: an id occurs twice, or a vector has no length that could be made 1.
        """
        check_shapes(parts)
        check_values(parts)
        return cls(parts)

    @classmethod
    def from_buffers(cls, contents: Sequence[Content], *, proven: bool) -> FlatViewIndex:
        """Open an index from its own file, and the items file and the map file of each part, in turn.

        Args:
            contents: must not change any more; the caller has checked their hashes.
            proven: whether these were opened before, so that no value has to be checked again.

        Raises:
            CorruptIndex: they are no such files, do not fit together or break the rules of :meth:`build`.
        """
        own, *others = [view_tensors(content, FILE_NAME) for content in contents]
        try:
            pairs = list(zip(others[::2], others[1::2], strict=True))
            counts = [len(items["ids"]) for items, _ in pairs]
            if own["longest"].shape != (len(pairs),) or own["norms"].shape != (sum(counts),):
                raise GalleryError(f"it has no norms for {sum(counts)} items of {len(pairs)} parts")
            norms = np.split(own["norms"], np.cumsum(counts)[:-1])
            views = [FeatureView(stored["matrix"], stored["offset"]) for _, stored in pairs]
            parts = [
                ViewedItems(items["ids"], items["features"], *rest)
                for (items, _), *rest in zip(pairs, views, norms, own["longest"].tolist(), strict=True)
            ]
            check_shapes(parts)
            if not proven:
                check_values(parts)
        except (KeyError, TypeError, ValueError, AttributeError, GalleryError) as error:
            reason = " ".join(str(error).split())[:200]
            raise CorruptIndex(f"{FILE_NAME} is no index of this cdml: {reason}") from error
        return cls(parts)

    def to_bytes(self) -> bytes:
        """Return its own file, which holds neither features nor maps."""
        return render_tensors({
            "norms": np.concatenate([part.norms for part in self._all.parts]),
            "longest": np.array([part.longest for part in self._all.parts]),
        })  # fmt: skip

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._all.dimension

    @property
    def ids(self) -> NDArray[np.int64]:
        """All ids (N,), part by part."""
        if self._ids is None:
            self._ids = np.concatenate([part.ids for part in self._all.parts])
        return self._ids

    def __len__(self) -> int:
        return len(self._all)

    def vectors(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors (m, D) of items by their places (m,) in :attr:`ids`, ascending."""
        starts = np.cumsum([0, *(len(part) for part in self._all.parts)])
        found = [
            part.view(part.features_of(places[(places >= start) & (places < start + len(part))] - start))
            for part, start in zip(self._all.parts, starts[:-1], strict=True)
        ]
        return np.concatenate(found)

    def prove(self) -> None:
        """Compute some thousand norms again from the features; all were, when the file was written.

        Raises:
            CorruptIndex: one is another.
        """
        try:
            check_norms(self._all.parts)
        except GalleryError as error:
            raise CorruptIndex(f"{FILE_NAME} does not belong to its features: {error}") from error

    def among(self, ids: NDArray[np.int64]) -> ViewSelection:
        """Return an index of those of its items that are among ``ids`` (n,); computes no vector of others."""
        return self._all.among(ids)

    def search(self, queries: NDArray[np.float32], k: int) -> Neighbours:
        """Return ``min(k, len(self))`` items per query (Q, D), best first, the smaller id on ties."""
        return self._all.search(queries, k)
