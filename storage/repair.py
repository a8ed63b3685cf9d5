"""Brings back what can be made again: copies of query images from their files, and what shows a bad index."""

from __future__ import annotations

from pathlib import Path

from continual_dml.errors import CorruptIndex, WorkspaceError
from continual_dml.records import Generation, ImageRecord
from storage import durable, query_copies
from storage.store import WorkspaceStore
from storage.verified_files import read_published


def index_is_damaged(store: WorkspaceStore, generation: Generation) -> bool:
    """Say whether the index of a generation cannot be trusted, all of it checked afresh.

    Raises:
        CorruptIndex: not even its manifest can be.
    """
    artefacts = store.open_generation(generation)
    try:
        artefacts.open_index(afresh=True)
    except CorruptIndex:
        return True
    return False


def restore_query_copies(store: WorkspaceStore) -> list[Path]:
    """Copy query images again whose copies are missing or damaged, where their files are as they were.

    Returns:
        The copies that are whole again.
    """
    restored = []
    for item in store.query_items():
        copy = store.workspace.query_copy(item.content_hash)
        try:
            read_published(copy, None, item.content_hash)
        except (FileNotFoundError, CorruptIndex):
            try:
                size = Path(item.path).stat().st_size
                record = ImageRecord(item.path, item.content_hash, item.category, item.role, size)
                directory = query_copies.keep_copy(store.workspace, record)
            except (OSError, WorkspaceError):
                continue
            for changed in (directory, store.workspace.queries_dir):
                durable.fsync_directory(changed)
            restored.append(copy)
    return restored
