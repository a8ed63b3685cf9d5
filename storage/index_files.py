"""The files of a generation's search index: one built for it, or its parent's and a list of what is gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from storage.artefacts import PublishedArtefacts
from storage.index import INDEXES
from storage.index.recall import measured_recall
from storage.index.stored import IndexKind, StoredIndex
from storage.manifest import IndexEntry
from storage.self_test import hash_of_ids
from storage.tensor_files import render_tensors

REMOVED_FILE = "index-removed.safetensors"
_MOST_REMOVED = 0.2
"""Beyond this share of its items an index is built anew: what is gone still costs memory and time."""


@dataclass(frozen=True, slots=True, eq=False)
class IndexFiles:
    """What the manifest says of an index, files to write by name, and those to take over unchanged."""

    entry: IndexEntry
    written: Mapping[str, bytes]
    inherited: tuple[str, ...] = ()


def built(name: str, kind: IndexKind, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> IndexFiles:
    """Return a new index of unit ``vectors`` (N, D) under ``ids`` (N,), of the ``kind`` called ``name``.

    Raises:
        GalleryError: ids occur twice, or a vector is not finite or not of unit length.
    """
    index = kind.build(ids, vectors)
    return IndexFiles(_entry(name, index, ids, vectors), {index.file_name: index.to_bytes()})


def thinned(
    parent: PublishedArtefacts, kind: str, ids: NDArray[np.int64], vectors: NDArray[np.float32]
) -> IndexFiles | None:
    """Return the parent's index without the items that are not among ``ids`` (N,), its file unchanged.

    Args:
        parent: the live generation's files.
        kind: that the workspace wants now.
        ids: of items that the parent's index holds.
        vectors: unit vectors (N, D) that it holds for them.

    Returns:
        None where the kind cannot do so, or too much would be left in the file that is gone.

    Raises:
        CorruptIndex: the parent's index is damaged.
    """
    known = INDEXES.get(kind)
    if known is None or not known.thins or parent.manifest.index.kind != kind:
        return None
    before = parent.open_index()
    index = before.without(np.setdiff1d(before.ids, ids))
    if index is None or len(index.removed) > _MOST_REMOVED * (len(index) + len(index.removed)):
        return None
    entry = _entry(kind, index, ids, vectors, REMOVED_FILE)
    return IndexFiles(entry, {REMOVED_FILE: render_tensors({"ids": index.removed})}, (entry.file,))


def _entry(
    kind: str,
    index: StoredIndex,
    ids: NDArray[np.int64],
    vectors: NDArray[np.float32],
    removed_file: str | None = None,
) -> IndexEntry:
    return IndexEntry(
        kind,
        index.file_name,
        index.dimension,
        len(index),
        hash_of_ids(index.ids),
        recall_at_10=None if index.exact else measured_recall(index, ids, vectors),
        removed_file=removed_file,
    )
