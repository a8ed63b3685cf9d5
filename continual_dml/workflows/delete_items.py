"""Take images out of the gallery, the queries and the catalogue: a new generation without them."""

from __future__ import annotations

from collections.abc import Collection

from continual_dml.errors import CatalogError, UnknownItem
from continual_dml.ports import Store
from continual_dml.records import Deletion, Generation
from continual_dml.workflows.drafting import drafting
from continual_dml.workflows.report_files import NO_PAGES, Pages, write_report
from continual_dml.workflows.rewrite_gallery import rewrite_gallery


def delete_items(
    item_ids: Collection[int], store: Store, *, purge: bool, pages: Pages = NO_PAGES
) -> Generation:
    """Publish the live generation without some of its images; what it learned from them stays learned.

    The model, its statistics and its drift maps are taken over as they are, and so is the report, which says
    how many images were deleted since its figures were measured.

    Args:
        item_ids: numbers of visible images, in the gallery or held out.
        store: open for writing.
        purge: keep no earlier generation, so that no file of the workspace holds anything of the images.
        pages: who draws the report's page, which shows none of them any more.

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
    with drafting(store, f"deletion of {len(chosen)} images") as draft:
        parent = store.open_generation(head)
        left = rewrite_gallery(parent, draft, list(items.values()), renew_index=purge)
        write_report(draft, left.report, left.details, store, pages)
        return draft.publish_deletion(Deletion(chosen, left.counts, purge), parent.config)
