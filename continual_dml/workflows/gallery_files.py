"""Where a generation keeps its gallery: two files per birth generation.

One has ids and features, and stays as it is from generation to generation. The other has either the vectors,
or the map that they are computed with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.memory.feature_views import FeatureView
from continual_dml.ports import Artefacts, Draft
from continual_dml.records import GalleryPart, Lengths, VectorState, ViewPart
from continual_dml.report_pages import REPORT_FILE
from continual_dml.strategies.carrying import Carrying


def items_file(birth: int) -> str:
    """Name of the file with ids and features of the items born in generation ``birth``."""
    return f"items-{birth:08d}.safetensors"


def vectors_file(birth: int) -> str:
    """Name of the file with the vectors of the items born in generation ``birth``."""
    return f"vectors-{birth:08d}.safetensors"


def map_file(birth: int) -> str:
    """Name of the file with the map from features to vectors of the items born in generation ``birth``."""
    return f"map-{birth:08d}.safetensors"


class StoredPart:
    """A gallery part of a published generation, each file read when it is first needed.

    Has what a ``continual_dml.records.GalleryPart`` has.

    Args:
        artefacts: the generation's files.
        birth_generation: in which its items were embedded.
        state: of its vectors.
    """

    def __init__(self, artefacts: Artefacts, birth_generation: int, state: VectorState) -> None:
        self.birth_generation = birth_generation
        self.state = state
        self._artefacts = artefacts

    @property
    def ids(self) -> NDArray[np.int64]:
        """Ids (n,) of its items."""
        ids: NDArray[np.int64] = self._items["ids"]
        return ids

    @property
    def features(self) -> NDArray[np.float16]:
        """Their features (n, F)."""
        features: NDArray[np.float16] = self._items["features"]
        return features

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """Their unit vectors (n, D)."""
        view = self.view
        if view is not None:
            return view(self.features)
        stored = self._artefacts.read_tensors(vectors_file(self.birth_generation))
        vectors: NDArray[np.float32] = stored["vectors"]
        return vectors

    def vector(self, row: int) -> NDArray[np.float32]:
        """Return the unit vector (D,) of one of them, without computing the others."""
        view = self.view
        one: NDArray[np.float32] = (
            self.vectors[row] if view is None else view(self.features[row : row + 1])[0]
        )
        return one

    @property
    def computed(self) -> bool:
        """Whether the vectors are computed from the features; else they are stored."""
        return map_file(self.birth_generation) in self._artefacts.names()

    @cached_property
    def view(self) -> FeatureView | None:
        """What computes the vectors where none are stored; None where they are."""
        if not self.computed:
            return None
        stored = self._artefacts.read_tensors(map_file(self.birth_generation))
        return FeatureView(stored["matrix"], stored["offset"])

    def loaded(self, state: VectorState | None = None) -> GalleryPart:
        """Return the same with all of it in memory, in another state where one is given."""
        state = self.state if state is None else state
        return GalleryPart(self.birth_generation, state, self.ids, self.features, self.vectors)

    @cached_property
    def _items(self) -> dict[str, NDArray[Any]]:
        return self._artefacts.read_tensors(items_file(self.birth_generation))


def stored_parts(artefacts: Artefacts, report: Mapping[str, Any]) -> Iterator[StoredPart]:
    """Yield the gallery parts of a published generation and its report, oldest birth first."""
    states = {int(part["birth_generation"]): part["state"] for part in report["parts"]}
    for birth in sorted(states):
        yield StoredPart(artefacts, birth, VectorState(states[birth]))


def published_parts(artefacts: Artefacts) -> Iterator[StoredPart]:
    """Yield the gallery parts of a published generation as its own report says, oldest birth first."""
    return stored_parts(artefacts, artefacts.read_json(REPORT_FILE))


def write_parts(
    draft: Draft, parts: Sequence[GalleryPart], parent_report: Mapping[str, Any], carrying: Carrying
) -> None:
    """Write a gallery and its index; items that a part held in the generation before are taken over.

    Args:
        draft: of the next generation.
        parts: the gallery, one or more.
        parent_report: of the generation before; empty where there is none.
        carrying: what made the vectors of all parts that are not stale.
    """
    # Items never join a part after its birth, so an equal count means equal items.
    earlier = parent_report.get("parts", [])
    counts = {int(part["birth_generation"]): int(part["items"]) for part in earlier}
    for part in parts:
        items = items_file(part.birth_generation)
        if counts.get(part.birth_generation) == len(part.ids):
            draft.inherit(items)
        else:
            draft.write_tensors(items, {"ids": part.ids, "features": part.features})
    views = _views(parts, carrying) if draft.wants_views(sum(len(part.ids) for part in parts)) else None
    if views is not None:
        lengths = {part.birth_generation: part.lengths for part in parts if part.lengths is not None}
        write_views(draft, views, lengths)
        return
    for part in parts:
        draft.write_tensors(vectors_file(part.birth_generation), {"vectors": part.vectors})
    draft.write_index(
        np.concatenate([part.ids for part in parts]), np.concatenate([part.vectors for part in parts])
    )


def _views(parts: Sequence[GalleryPart], carrying: Carrying) -> dict[int, FeatureView] | None:
    """Return what computes the vectors of each part by birth; None where a part's cannot be computed so."""
    views: dict[int, FeatureView] = {}
    for part in parts:
        view = None if part.state is VectorState.STALE else carrying.view_of(part.birth_generation)
        if view is None:
            return None
        views[part.birth_generation] = view
    return views


def write_views(
    draft: Draft, views: Mapping[int, FeatureView], lengths: Mapping[int, Lengths] | None = None
) -> None:
    """Write how vectors are computed from features, and the index that does so, instead of vectors.

    Args:
        draft: of the next generation; it has the items file of each part already.
        views: by birth generation, one or more.
        lengths: by birth generation, where they are known.
    """
    known = {} if lengths is None else lengths
    for birth, view in views.items():
        draft.write_tensors(map_file(birth), {"matrix": view.matrix, "offset": view.offset})
    draft.write_view_index([view_part(birth, known.get(birth)) for birth in views])


def view_part(birth: int, lengths: Lengths | None = None) -> ViewPart:
    """Return what an index has to know of the items born in generation ``birth``."""
    return ViewPart(items_file(birth), map_file(birth), lengths)
