"""Build the search index anew from what a generation keeps beside it: vectors, or features and maps."""

from __future__ import annotations

from continual_dml.errors import CatalogError
from continual_dml.ports import Store
from continual_dml.records import Deletion, Generation
from continual_dml.workflows.drafting import drafting
from continual_dml.workflows.rewrite_gallery import rewrite_gallery


def rebuild_index(store: Store, *, with_vectors: bool = False) -> Generation:
    """Publish the live generation again, all files but the index taken over.

    Args:
        store: open for writing.
        with_vectors: write all vectors also where the live generation computes them from features.

    Raises:
        CorruptIndex: another file is damaged as well; nothing is published.
        CatalogError: nothing is ingested yet.
    """
    head = store.head()
    if head is None:
        raise CatalogError("no task is ingested yet: there is no index")
    with drafting(store, "rebuilding the index") as draft:
        parent = store.open_generation(head)
        counts = rewrite_gallery(parent, draft, (), renew_index=True, with_vectors=with_vectors)
        return draft.publish_deletion(Deletion((), counts, purged=False), parent.config)
