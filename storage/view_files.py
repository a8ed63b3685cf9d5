"""The file of an index that computes its vectors, made from files that lie in a generation already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from continual_dml.errors import GalleryError
from continual_dml.memory.feature_views import FeatureView
from continual_dml.records import ViewPart
from storage.durable import FileEntry
from storage.index.flat_view import KIND, FlatViewIndex
from storage.index.viewed_items import ViewedItems, longest_of, margin
from storage.index_files import IndexFiles
from storage.manifest import IndexEntry
from storage.self_test import Sample, hash_of_ids, sample_places
from storage.tensor_files import view_tensors
from storage.verified_files import map_staged


def viewed(
    parts: Sequence[ViewPart], directory: Path, files: Mapping[str, FileEntry]
) -> tuple[IndexFiles, Sample]:
    """Return an index of the items of ``parts``, and some of their vectors.

    Args:
        parts: one or more.
        directory: where their files lie.
        files: what lies there.

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
        if part.lengths is None:
            norms, longest = view.norms(features), longest_of(features)
        else:
            norms, longest = part.lengths.norms, part.lengths.longest * margin(features.shape[1])
        return ViewedItems(items["ids"], features, view, norms, longest)

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
