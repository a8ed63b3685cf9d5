"""The gallery of one generation, some thousand items at a time, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import CorruptIndex
from continual_dml.records import CatalogItem, VectorState
from continual_dml.workflows.gallery_files import StoredPart, published_parts
from storage.filters import Filter
from storage.reader import WorkspaceReader
from storage.verified_files import ADVICE

ROWS_AT_ONCE = 4096


@dataclass(eq=False)
class GalleryRows:
    """Some items of one birth generation; each column is read when it is asked for.

    Args:
        reader: of the generation.
        part: of its gallery.
        rows: (n,) of the part.
    """

    reader: WorkspaceReader
    part: StoredPart
    rows: NDArray[np.int64]

    @property
    def state(self) -> VectorState:
        """State of their vectors."""
        return self.part.state

    @property
    def birth_generation(self) -> int:
        """In which they were embedded."""
        return self.part.birth_generation

    @property
    def ids(self) -> NDArray[np.int64]:
        """Their ids (n,)."""
        return self.part.ids[self.rows]

    @cached_property
    def items(self) -> list[CatalogItem]:
        """What the catalogue knows of them.

        Raises:
            CorruptIndex: it does not know all of them.
        """
        found = self.reader.items(self.ids.tolist())
        try:
            return [found[item_id] for item_id in self.ids.tolist()]
        except KeyError as error:
            raise CorruptIndex(f"the catalogue does not know item {error.args[0]}: {ADVICE}") from error

    @property
    def vectors(self) -> NDArray[np.float32]:
        """Their unit vectors (n, D), as a search compares them."""
        view = self.part.view
        return self.part.vectors[self.rows] if view is None else view(self.part.features[self.rows])

    @property
    def features(self) -> NDArray[np.float32] | None:
        """Their features (n, F) where the generation's own model gave them; None where an earlier one did."""
        if self.state is not VectorState.FRESH:
            return None
        return self.part.features[self.rows].astype(np.float32)


def gallery_rows(reader: WorkspaceReader, chosen: Filter | None) -> Iterator[GalleryRows]:
    """Yield all gallery items that ``chosen`` is true of (None: all), by birth generation and id.

    Raises:
        CorruptIndex: a file of the generation differs from its manifest.
    """
    wanted = None if chosen is None else np.array(reader.matching_ids(chosen), dtype=np.int64)
    for part in published_parts(reader.artefacts):
        ids = part.ids
        rows = np.argsort(ids, kind="stable")
        if wanted is not None:
            rows = rows[np.isin(ids[rows], wanted)]
        for start in range(0, len(rows), ROWS_AT_ONCE):
            yield GalleryRows(reader, part, rows[start : start + ROWS_AT_ONCE])


def text_columns(rows: GalleryRows) -> dict[str, list[str]]:
    """Return the texts of each item by the name of their column, see ``continual_dml.interchange``."""
    items = rows.items
    return {
        "category": [item.category for item in items],
        "task": [item.task for item in items],
        "role": [item.role.value for item in items],
        "path": [item.path for item in items],
        "content_hash": [item.content_hash for item in items],
        "state": [rows.state.value] * len(items),
    }
