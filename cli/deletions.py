"""Finding images to delete, and deleting them: what ``cdml delete`` puts together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cli.wiring import page_painter, reading, tell_warnings

if TYPE_CHECKING:
    from continual_dml.ports import ProgressListener
    from storage.filters import Filter
    from storage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class DeleteOutcome:
    """What was deleted, or would be: numbers of images, and of images per category.

    ``generation``: the new one, None where nothing was done; ``held``: how many of them an earlier generation
    still holds, files and rows; ``purged``: whether none may.
    """

    item_ids: tuple[int, ...]
    gallery: int
    queries: int
    categories: tuple[tuple[str, int], ...]
    purged: bool
    generation: int | None = None
    held: int = 0


def find_to_delete(
    workspace: Workspace,
    item_ids: Sequence[int],
    categories: Sequence[str],
    where: Filter | None,
    *,
    purge: bool,
) -> DeleteOutcome:
    """Find the images to delete, without changing anything: by number, by category, or by a filter.

    Raises:
        CatalogError: nothing is ingested yet, or the catalogue cannot answer.
        UnknownItem: there is no image of a number.
        UnknownChoice: there is no such category.
    """
    from collections import Counter

    from continual_dml.errors import UnknownChoice, UnknownItem
    from continual_dml.records import Role
    from storage.filters.tree import Membership

    with reading(workspace) as reader:
        known = reader.category_ids()
        for category in categories:
            if category not in known:
                raise UnknownChoice("category", category, known)
        chosen = Membership("category", tuple(categories)) if categories else where
        found = list(reader.items(item_ids).values()) if chosen is None else reader.items_where(chosen)
    missing = sorted(set(item_ids) - {item.item_id for item in found})
    if chosen is None and missing:
        raise UnknownItem(f"there is no image {missing[0]}: `cdml query` shows the numbers of images")
    gallery = sum(item.role is Role.GALLERY for item in found)
    return DeleteOutcome(
        tuple(sorted(item.item_id for item in found)),
        gallery,
        len(found) - gallery,
        tuple(sorted(Counter(item.category for item in found).items())),
        purge,
    )


def run_delete(workspace: Workspace, found: DeleteOutcome, listener: ProgressListener) -> DeleteOutcome:
    """Delete what :func:`find_to_delete` found.

    Raises:
        UnknownItem: one of them is gone meanwhile; nothing was deleted.
        CatalogError: a tag keeps what is to be purged.
    """
    from continual_dml.workflows.delete_items import delete_items
    from continual_dml.workflows.report_files import Pages
    from storage.store import WorkspaceStore

    with WorkspaceStore(workspace) as store:
        pages = Pages(page_painter(workspace.settings), listener)
        generation = delete_items(found.item_ids, store, purge=found.purged, pages=pages)
        tell_warnings(store, listener)
        held = store.held(found.item_ids)
    return replace(found, generation=generation.generation_id, held=len(held))
