"""Build the search index anew from what a generation keeps beside it: vectors, or features and maps."""

from __future__ import annotations

from continual_dml.errors import CatalogError
from continual_dml.ports import Store
from continual_dml.records import Deletion, Generation
from continual_dml.report_pages import PAGE_FILE
from continual_dml.workflows.drafting import drafting
from continual_dml.workflows.report_files import NO_PAGES, Pages, write_report
from continual_dml.workflows.rewrite_gallery import rewrite_gallery


def rebuild_index(store: Store, *, with_vectors: bool = False, pages: Pages = NO_PAGES) -> Generation:
    """Publish the live generation again, all files but the index taken over.

    Args:
        store: open for writing.
        with_vectors: write all vectors also where the live generation computes them from features.
        pages: who draws the report's page; where nobody does, that of the live generation stays.

    Raises:
        CorruptIndex: another file is damaged as well; nothing is published.
        CatalogError: nothing is ingested yet.
    """
    head = store.head()
    if head is None:
        raise CatalogError("no task is ingested yet: there is no index")
    with drafting(store, "rebuilding the index") as draft:
        parent = store.open_generation(head)
        left = rewrite_gallery(parent, draft, (), renew_index=True, with_vectors=with_vectors)
        write_report(draft, left.report, left.details, store, pages)
        if pages.painter is None and PAGE_FILE in parent.names():
            draft.inherit(PAGE_FILE)
        return draft.publish_deletion(Deletion((), left.counts, purged=False), parent.config)
