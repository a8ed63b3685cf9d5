"""Take images out of the gallery, the queries and the catalogue: a new generation without them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import CatalogError, CdmlError, UnknownItem
from continual_dml.ports import Artefacts, Draft, Store
from continual_dml.records import CatalogItem, Deletion, GalleryPart, Generation, PartCount
from continual_dml.reports import without_images
from continual_dml.workflows.gallery_files import items_file, stored_parts, vectors_file

_REPORT = "report.json"


def delete_items(item_ids: Collection[int], store: Store, *, purge: bool) -> Generation:
    """Publish the live generation without some of its images; what it learned from them stays learned.

    The model, its statistics and its drift maps are taken over as they are, and so is the report, which says
    how many images were deleted since its figures were measured.

    Args:
        item_ids: numbers of visible images, in the gallery or held out.
        store: open for writing.
        purge: keep no earlier generation, so that no file of the workspace holds anything of the images.

    Raises:
        UnknownItem: one is not visible; nothing is deleted.
        CatalogError: nothing is ingested yet; or a tag keeps what is to be purged.
    """
    chosen = sorted(set(item_ids))
    head = store.head()
    if head is None:
        raise CatalogError("no task is ingested yet: there is nothing to delete")
    items = store.items(chosen)
    unknown = [item_id for item_id in chosen if item_id not in items]
    if unknown:
        raise UnknownItem(
            f"there is no image {unknown[0]}: nothing was deleted; `cdml query` shows the numbers"
        )
    tags = store.tags_seeing(chosen) if purge else []
    if tags:
        raise CatalogError(
            f"the tag '{tags[0]}' keeps a generation with these images: nothing was deleted; "
            f"take it away with `cdml tag --delete {tags[0]}`"
        )
    draft = store.begin(f"deletion of {len(chosen)} images")
    try:
        parent = store.open_generation(head)
        counts = _write(parent, draft, list(items.values()))
        return draft.publish_deletion(Deletion(chosen, counts, purge), parent.config)
    except BaseException:  # an interrupt must clean up as well
        with suppress(CdmlError):  # the first error is the one to tell
            draft.abandon()
        raise


def _write(parent: Artefacts, draft: Draft, removed: Sequence[CatalogItem]) -> list[PartCount]:
    """Write what differs from the parent, take over all else, and count what is left."""
    report = parent.read_json(_REPORT)
    gone = np.array([item.item_id for item in removed], dtype=np.int64)
    before = list(stored_parts(parent, report))
    left = [_without(part, gone) for part in before]
    changed = {
        part.birth_generation
        for part, less in zip(before, left, strict=True)
        if len(less.ids) < len(part.ids)
    }
    written = {name(birth) for birth in changed for name in (items_file, vectors_file)} | {_REPORT}
    for part in left:
        if part.birth_generation in changed and len(part.ids):
            draft.write_tensors(
                items_file(part.birth_generation), {"ids": part.ids, "features": part.features}
            )
            draft.write_tensors(vectors_file(part.birth_generation), {"vectors": part.vectors})
    if changed:
        written.add(parent.index_file)
        draft.write_index(
            np.concatenate([part.ids for part in left]), np.concatenate([part.vectors for part in left])
        )
    for name in parent.names():
        if name not in written:
            draft.inherit(name)
    counts = [PartCount(part.birth_generation, part.state, len(part.ids)) for part in left if len(part.ids)]
    roles = Counter(item.role.value for item in removed)
    draft.write_json(_REPORT, without_images(report, draft.generation_id, counts, roles))
    return counts


def _without(part: GalleryPart, gone: NDArray[np.int64]) -> GalleryPart:
    rows = np.flatnonzero(~np.isin(part.ids, gone))
    return GalleryPart(
        part.birth_generation, part.state, part.ids[rows], part.features[rows], part.vectors[rows]
    )
