"""Generations as a whole: going back to one, naming one, removing old ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.wiring import page_painter, tell_warnings

if TYPE_CHECKING:
    from continual_dml.ports import ProgressListener
    from continual_dml.records import Generation
    from storage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Promotion:
    """Which generation was live, None before the first; which one is; and why its gate had refused it.

    ``can_go_back``: whether the files of the one before are still there.
    """

    before: Generation | None
    now: Generation
    refusal: str | None
    can_go_back: bool


def run_promote(workspace: Workspace, wanted: str | None, listener: ProgressListener) -> Promotion:
    """Make a refused generation live: a number, a tag, or the newest that waits.

    Raises:
        UnknownChoice: no such generation or tag.
        CatalogError: it was not refused, or its files are not kept any more; or none waits.
        GalleryError: its files are damaged; nothing changed.
    """
    from storage.store import WorkspaceStore

    with WorkspaceStore(workspace) as store:
        before = store.head()
        now = store.promote(None if wanted is None else store.resolve(wanted))
        tell_warnings(store, listener)
        there = before is not None and workspace.generation_dir(before.generation_id).is_dir()
        return Promotion(before, now, store.refusals().get(now.generation_id), there)


@dataclass(frozen=True, slots=True)
class Compaction:
    """Generation and kind of index before and now, equal where nothing was to do; bytes of the index."""

    before: int
    now: int
    kind_before: str
    kind_now: str
    index_bytes: int


def run_compact(workspace: Workspace, listener: ProgressListener) -> Compaction:
    """Publish the live generation again with vectors and an index of the kind that the workspace wants.

    Raises:
        CatalogError: nothing is ingested yet.
        CorruptIndex: a file of the live generation is damaged; nothing is published.
    """
    from continual_dml.errors import CatalogError
    from continual_dml.workflows.rebuild_index import rebuild_index
    from continual_dml.workflows.report_files import Pages
    from storage.store import WorkspaceStore

    with WorkspaceStore(workspace) as store:
        tell_warnings(store, listener)
        live = store.head()
        if live is None:
            raise CatalogError(f"{workspace.root} holds no task yet: there is nothing to compact")
        before = store.open_generation(live)
        old = before.manifest.index
        if old.kind == workspace.index_kind and old.removed_file is None:
            number = live.generation_id
            return Compaction(number, number, old.kind, old.kind, before.index_bytes)
        listener.start("writing vectors and index", 1)
        pages = Pages(page_painter(workspace.settings), listener)
        published = rebuild_index(store, with_vectors=True, pages=pages)
        now = store.open_generation(published)
        return Compaction(
            live.generation_id, published.generation_id, old.kind, now.manifest.index.kind, now.index_bytes
        )


def run_rollback(
    workspace: Workspace, wanted: str | None, listener: ProgressListener
) -> tuple[Generation, Generation]:
    """Make a generation live again: a number, a tag, or the parent of the live one; return before and now.

    Raises:
        UnknownChoice: no such generation or tag.
        CatalogError: there is nothing to go back to, or its files are not kept any more.
        GalleryError: its files are damaged; nothing changed.
    """
    from continual_dml.errors import CatalogError
    from storage.store import WorkspaceStore

    with WorkspaceStore(workspace) as store:
        live = store.head()
        if live is None:
            raise CatalogError(f"{workspace.root} holds no task yet: there is nothing to go back to")
        number = live.parent_id if wanted is None else store.resolve(wanted)
        if number is None:
            raise CatalogError(f"generation {live.generation_id} is the first: there is nothing before it")
        now = store.rollback(number)
        tell_warnings(store, listener)
        return live, now


def run_tag(workspace: Workspace, name: str, wanted: str | None, listener: ProgressListener) -> int:
    """Name a generation (a number, a tag, or the live one) and return its number; raises as ``tag``."""
    from continual_dml.errors import CatalogError
    from storage.store import WorkspaceStore

    with WorkspaceStore(workspace) as store:
        tell_warnings(store, listener)
        live = store.head()
        if live is None:
            raise CatalogError(f"{workspace.root} holds no task yet: there is nothing to tag")
        number = live.generation_id if wanted is None else store.resolve(wanted)
        store.tag(name, number)
        return number


def run_untag(workspace: Workspace, name: str, listener: ProgressListener) -> None:
    """Take a tag away; raises as ``untag``."""
    from storage.store import WorkspaceStore

    with WorkspaceStore(workspace) as store:
        tell_warnings(store, listener)
        store.untag(name)


def run_gc(workspace: Workspace, keep: int | None, listener: ProgressListener) -> tuple[list[int], int]:
    """Remove what need not be kept; return the numbers of the removed generations and the bytes freed."""
    from storage.generations import read_generations
    from storage.store import WorkspaceStore
    from storage.summary import bytes_below

    before = {one.generation_id for one in read_generations(workspace) if one.kept}
    size = bytes_below(workspace.root)
    with WorkspaceStore(workspace, keep) as store:  # opening collects
        tell_warnings(store, listener)
    after = {one.generation_id for one in read_generations(workspace) if one.kept}
    return sorted(before - after), max(0, size - bytes_below(workspace.root))
