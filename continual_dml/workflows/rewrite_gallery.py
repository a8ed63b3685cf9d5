"""A generation that takes its parent over, without some images or with another index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.ports import Artefacts, Draft
from continual_dml.records import CatalogItem, PartCount, VectorState
from continual_dml.report_pages import REPORT_FILE, without_items
from continual_dml.reports import without_images
from continual_dml.workflows.fingerprint_files import rewrite_fingerprints
from continual_dml.workflows.gallery_files import (
    StoredPart,
    items_file,
    map_file,
    stored_parts,
    vectors_file,
    view_part,
)
from continual_dml.workflows.kept_queries import rewrite_queries
from continual_dml.workflows.report_files import FILES, parent_details


@dataclass(frozen=True, slots=True, eq=False)
class Rewritten:
    """What is left: gallery items by part, and the report with its details, None where there are none."""

    counts: list[PartCount]
    report: dict[str, Any]
    details: dict[str, Any] | None


def rewrite_gallery(
    parent: Artefacts,
    draft: Draft,
    removed: Sequence[CatalogItem],
    *,
    renew_index: bool,
    with_vectors: bool = False,
) -> Rewritten:
    """Write what differs from the parent, take over all else, and tell what is left.

    The files of the report are the caller's to write.

    Where the parent computes its vectors from features, so does what is left of it, unless the workspace
    wants another kind of index by now.

    Args:
        parent: the live generation's files.
        draft: of the next generation.
        removed: images that it will be without, gallery and queries.
        renew_index: build the index anew whether or not something is removed from it, so that its files hold
            nothing but what is left.
        with_vectors: write vectors also where the parent computes them.
    """
    report = parent.read_json(REPORT_FILE)
    gone = np.array([item.item_id for item in removed], dtype=np.int64)
    parts = [_Left.of(part, gone) for part in stored_parts(parent, report)]
    computed = any(part.computed for part in parts)
    as_view = computed and draft.takes_views and not with_vectors and any(part.items for part in parts)
    renewed = bool(parts) and (renew_index or as_view != computed or any(part.changed for part in parts))
    written = {*FILES, *(name for part in parts for name in part.outdated(as_view=as_view))}
    if renewed:
        written.update(parent.index_files)
    written |= rewrite_queries(parent, draft, gone) | rewrite_fingerprints(parent, draft, gone)
    for name in parent.names():
        if name not in written:
            draft.inherit(name)
    if as_view:
        _write_views(parent, draft, parts, renewed=renewed)
    else:
        _write_vectors(parent, draft, parts, renewed=renewed, thin=not renew_index)
    counts = [PartCount(part.birth, part.state, part.items) for part in parts if part.items]
    roles = Counter(item.role.value for item in removed)
    details = parent_details(parent)
    return Rewritten(
        counts,
        without_images(report, draft.generation_id, counts, roles),
        None if details is None else without_items(details, {item.item_id for item in removed}),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Left:
    """The ``rows`` (n,) of a part that stay; ``computed``: its vectors are, from features."""

    birth: int
    state: VectorState
    rows: NDArray[np.int64]
    changed: bool
    computed: bool

    @classmethod
    def of(cls, part: StoredPart, gone: NDArray[np.int64]) -> _Left:
        rows = np.flatnonzero(~np.isin(part.ids, gone))
        return cls(part.birth_generation, part.state, rows, len(rows) < len(part.ids), part.computed)

    @property
    def items(self) -> int:
        return len(self.rows)

    def outdated(self, *, as_view: bool) -> set[str]:
        """Return the names of the parent's files that have to be written anew, or not at all."""
        names = {items_file(self.birth), vectors_file(self.birth)} if self.changed else set()
        return names if as_view and self.items else names | {map_file(self.birth)}

    def opened(self, parent: Artefacts) -> StoredPart:
        """Return all of the part, nothing of it read yet."""
        return StoredPart(parent, self.birth, self.state)


def _write_views(parent: Artefacts, draft: Draft, parts: Sequence[_Left], *, renewed: bool) -> None:
    for left in parts:
        if left.changed and left.items:
            _write_items(draft, left, left.opened(parent))
    if renewed:
        draft.write_view_index([view_part(left.birth) for left in parts if left.items])


def _write_vectors(
    parent: Artefacts, draft: Draft, parts: Sequence[_Left], *, renewed: bool, thin: bool
) -> None:
    ids, vectors = [], []
    for left in parts if renewed else ():
        part = left.opened(parent)
        of_rows = part.vectors[left.rows] if part.view is None else part.view(part.features[left.rows])
        if left.changed and left.items:
            _write_items(draft, left, part)
        if (left.changed or left.computed) and left.items:
            draft.write_tensors(vectors_file(left.birth), {"vectors": of_rows})
        ids.append(part.ids[left.rows])
        vectors.append(of_rows)
    if renewed:
        draft.write_index(np.concatenate(ids), np.concatenate(vectors), thin=thin)


def _write_items(draft: Draft, left: _Left, part: StoredPart) -> None:
    draft.write_tensors(
        items_file(left.birth), {"ids": part.ids[left.rows], "features": part.features[left.rows]}
    )
