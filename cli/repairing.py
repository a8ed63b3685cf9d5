"""What ``cdml verify --repair`` puts together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.wiring import page_painter, tell_warnings

if TYPE_CHECKING:
    from continual_dml.ports import ProgressListener
    from storage.store import WorkspaceStore
    from storage.workspace import Workspace


def run_repair(workspace: Workspace, listener: ProgressListener) -> list[str]:
    """Make again what is missing or damaged and can be made; return one line for each.

    Raises:
        WorkspaceLocked: another writer is at work.
        CatalogError: the catalogue cannot be built again; a backup brings it back.
    """
    from storage.rebuild_catalogue import rebuild_catalogue, what_is_wrong
    from storage.repair import restore_query_copies
    from storage.store import WorkspaceStore

    done = []
    reason = what_is_wrong(workspace)
    if reason is not None:
        live = rebuild_catalogue(workspace)
        done.append(
            f"the catalogue was {reason} and is built again from what lies beside the generations"
            + ("" if live is None else f"; generation {live.generation_id} is live")
        )
    with WorkspaceStore(workspace) as store:
        done += [f"{path} copied again" for path in restore_query_copies(store)]
        done += _repaired_index(store, listener)
        tell_warnings(store, listener)
    return done


def _repaired_index(store: WorkspaceStore, listener: ProgressListener) -> list[str]:
    from continual_dml.errors import GalleryError
    from continual_dml.workflows.rebuild_index import rebuild_index
    from continual_dml.workflows.report_files import Pages
    from storage.repair import index_is_damaged

    head = store.head()
    try:
        if head is None or not index_is_damaged(store, head):
            return []
        generation = rebuild_index(store, pages=Pages(page_painter(store.workspace.settings), listener))
    except GalleryError:  # checking afterwards tells which file it is
        listener.note("the index cannot be built again: another file of the live generation is damaged too")
        return []
    return [
        f"the index of generation {head.generation_id} built again from its vectors; generation "
        f"{generation.generation_id} is live"
    ]
