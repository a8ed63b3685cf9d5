"""A gallery part that joins those of the live generation, which stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from continual_dml.memory.feature_views import FeatureView
from continual_dml.ports import Draft
from continual_dml.records import GalleryPart
from continual_dml.strategies.carrying import Carrying
from continual_dml.workflows.gallery_files import StoredPart, items_file, map_file, vectors_file, view_part


@dataclass(frozen=True, slots=True, eq=False)
class JoiningPart:
    """What it takes to write a new part, and an index of it and of the ``earlier`` ones.

    Vectors are computed from features where those of all earlier parts are, and written elsewhere.

    Args:
        part: that joins.
        carrying: what made its vectors.
        earlier: parts of the live generation.
        draft: of the next one.
    """

    part: GalleryPart
    carrying: Carrying
    earlier: Sequence[StoredPart]
    draft: Draft

    def outdated(self) -> set[str]:
        """Return the names of files of earlier parts that are not to be taken over."""
        return set() if self._view() is not None else {map_file(birth) for birth in self._computed()}

    def write(self) -> None:
        """Write the part and the index, once the files of the earlier parts are taken over."""
        birth, draft = self.part.birth_generation, self.draft
        draft.write_tensors(items_file(birth), {"ids": self.part.ids, "features": self.part.features})
        view = self._view()
        if view is not None:
            draft.write_tensors(map_file(birth), {"matrix": view.matrix, "offset": view.offset})
            draft.write_view_index([view_part(one) for one in (*self._computed(), birth)])
            return
        computed = self._computed()
        for one in self.earlier:
            if one.birth_generation in computed:
                draft.write_tensors(vectors_file(one.birth_generation), {"vectors": one.vectors})
        draft.write_tensors(vectors_file(birth), {"vectors": self.part.vectors})
        ids = [*(one.ids for one in self.earlier), self.part.ids]
        vectors = [*(one.vectors for one in self.earlier), self.part.vectors]
        draft.write_index(np.concatenate(ids), np.concatenate(vectors))

    def _computed(self) -> list[int]:
        return [one.birth_generation for one in self.earlier if one.computed]

    def _view(self) -> FeatureView | None:
        """Return what computes the part's vectors, where those of all parts are to be computed."""
        computed = self._computed()
        if not computed or len(computed) < len(self.earlier) or not self.draft.takes_views:
            return None
        return self.carrying.view_of(self.part.birth_generation)
