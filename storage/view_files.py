"""The file of an index that computes its vectors, made from files that lie in a generation already."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import CorruptIndex, GalleryError
from continual_dml.memory.feature_views import FeatureView
from continual_dml.records import ViewPart
from storage.artefacts import PublishedArtefacts
from storage.durable import FileEntry
from storage.index.flat_view import KIND, FlatViewIndex
from storage.index.viewed_items import ViewedItems, longest_of, margin
from storage.index_files import IndexFiles
from storage.manifest import IndexEntry
from storage.self_test import Sample, hash_of_ids, sample_places
from storage.tensor_files import view_tensors
from storage.verified_files import map_staged

Measured = tuple[NDArray[np.float32], float]
"""Norms (n,) of a part's vectors, and a length that none of its features exceeds."""


def viewed(
    parts: Sequence[ViewPart],
    directory: Path,
    files: Mapping[str, FileEntry],
    known: Mapping[tuple[str, str], Measured],
) -> tuple[IndexFiles, Sample]:
    """Return an index of the items of ``parts``, and some of their vectors.

    Args:
        parts: one or more.
        directory: where their files lie.
        files: what lies there.
        known: what the index before holds of parts whose two files are the same.

    Raises:
        GalleryError: a file is missing or of another shape than the others, an id occurs twice, or a vector
            has no length that could be made 1.
    """

    def tensors(name: str) -> dict[str, NDArray[Any]]:
        if name not in files:
            raise GalleryError(f"{name} is not written yet: this is a defect of cdml, please report it")
        return view_tensors(map_staged(directory / name, files[name].size), name)

    def opened(part: ViewPart) -> ViewedItems:
        items, stored = tensors(part.items_file), tensors(part.map_file)
        view, features = FeatureView(stored["matrix"], stored["offset"]), items["features"]
        if (*features.shape[1:], *view.offset.shape) != view.matrix.shape[::-1]:
            raise GalleryError(
                f"features {features.shape} of {part.items_file} and a map {view.matrix.shape} with an "
                f"offset {view.offset.shape} do not fit together: this is a defect of cdml, please report it"
            )
        measured = known.get((part.items_file, part.map_file))
        if part.lengths is not None:
            measured = part.lengths.norms, part.lengths.longest * margin(features.shape[1])
        elif measured is None:
            measured = view.norms(features), longest_of(features)
        return ViewedItems(items["ids"], features, view, *measured)

    index = FlatViewIndex.build([opened(part) for part in parts])
    entry = IndexEntry(
        KIND,
        index.file_name,
        index.dimension,
        len(index),
        hash_of_ids(index.ids),
        reads=tuple(name for part in parts for name in (part.items_file, part.map_file)),
    )
    places = sample_places(len(index))
    sample = Sample(index.ids[places], index.vectors(places))
    return IndexFiles(entry, {index.file_name: index.to_bytes()}), sample


def measured_before(parent: PublishedArtefacts, same: Collection[str]) -> dict[tuple[str, str], Measured]:
    """Return what the index of ``parent`` holds of parts whose files are all among ``same``.

    Nothing where its file is damaged, for instance because this is to make another one.
    """
    entry = parent.manifest.index
    if entry.kind != KIND:
        return {}
    try:
        own = parent.read_tensors(entry.file)
    except CorruptIndex:
        return {}
    pairs = list(zip(entry.reads[::2], entry.reads[1::2], strict=True))
    files = parent.manifest.files
    counts = [
        len(view_tensors(map_staged(parent.path(items), files[items].size), items)["ids"])
        for items, _ in pairs
    ]
    norms = np.split(own["norms"], np.cumsum(counts)[:-1])
    measured = zip(pairs, norms, own["longest"].tolist(), strict=True)
    return {pair: (of_part, longest) for pair, of_part, longest in measured if {*pair} <= {*same}}
