"""A generation that takes its parent over, without some images or with another index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from continual_dml.ports import Artefacts, Draft
from continual_dml.records import CatalogItem, GalleryPart, PartCount
from continual_dml.reports import without_images
from continual_dml.workflows.gallery_files import items_file, stored_parts, vectors_file
from continual_dml.workflows.kept_queries import born_queries, queries_file

_REPORT = "report.json"


def rewrite_gallery(
    parent: Artefacts, draft: Draft, removed: Sequence[CatalogItem], *, renew_index: bool
) -> list[PartCount]:
    """Write what differs from the parent, take over all else, and count what is left.

    Args:
        parent: the live generation's files.
        draft: of the next generation.
        removed: images that it will be without, gallery and queries.
        renew_index: build the index anew whether or not something is removed from it, so that its files hold
            nothing but what is left.
    """
    report = parent.read_json(_REPORT)
    gone = np.array([item.item_id for item in removed], dtype=np.int64)
    before = list(stored_parts(parent, report))
    left = [_without(part, gone) for part in before]
    changed = [less for part, less in zip(before, left, strict=True) if len(less.ids) < len(part.ids)]
    written = {name(part.birth_generation) for part in changed for name in (items_file, vectors_file)}
    written.add(_REPORT)
    for part in changed:
        _write_part(draft, part)
    written |= _rewrite_queries(parent, draft, gone)
    if before and (changed or renew_index):
        written.update(parent.index_files)
        draft.write_index(
            np.concatenate([part.ids for part in left]),
            np.concatenate([part.vectors for part in left]),
            thin=not renew_index,
        )
    for name in parent.names():
        if name not in written:
            draft.inherit(name)
    counts = [PartCount(part.birth_generation, part.state, len(part.ids)) for part in left if len(part.ids)]
    roles = Counter(item.role.value for item in removed)
    draft.write_json(_REPORT, without_images(report, draft.generation_id, counts, roles))
    return counts


def _write_part(draft: Draft, part: GalleryPart) -> None:
    """Write what is left of a part; nothing where nothing is left."""
    if len(part.ids):
        birth = part.birth_generation
        draft.write_tensors(items_file(birth), {"ids": part.ids, "features": part.features})
        draft.write_tensors(vectors_file(birth), {"vectors": part.vectors})


def _rewrite_queries(parent: Artefacts, draft: Draft, gone: NDArray[np.int64]) -> set[str]:
    """Write the kept queries that lose some anew; return the names of their files."""
    changed = set()
    for group in born_queries(parent):
        left = group.only(np.setdiff1d(group.ids, gone))
        if len(left.ids) < len(group.ids):
            name = queries_file(group.birth_generation)
            changed.add(name)
            if len(left.ids):
                draft.write_tensors(name, {"ids": left.ids, "features": left.features})
    return changed


def _without(part: GalleryPart, gone: NDArray[np.int64]) -> GalleryPart:
    rows = np.flatnonzero(~np.isin(part.ids, gone))
    return GalleryPart(
        part.birth_generation, part.state, part.ids[rows], part.features[rows], part.vectors[rows]
    )
