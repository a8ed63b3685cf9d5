"""The workspace's own copies of query images, addressed by their content.

Forgetting is measured with the queries of earlier tasks, so these must outlive the task's folder. Training
never reads them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Set as AbstractSet
from pathlib import Path

from continual_dml.errors import CdmlError, WorkspaceError
from continual_dml.records import ImageRecord
from storage import durable
from storage.verified_files import open_file, sha256_of
from storage.workspace import Workspace


def keep_copy(workspace: Workspace, record: ImageRecord) -> Path:
    """Copy the image of ``record`` into the workspace, once per content.

    Returns:
        The directory of the copy, which is to be flushed before the copy is relied on.

    Raises:
        WorkspaceError: the image changed since it was read, or cannot be read or copied.
    """
    target = workspace.query_copy(record.content_hash)
    if not _is_whole(target, record.content_hash):
        content = _read_source(Path(record.path))
        if len(content) != record.size_bytes or sha256_of(content) != record.content_hash:
            raise WorkspaceError(
                f"{record.path} changed while the task was read: leave it alone and run the command again"
            )
        durable.make_directory(target.parent)
        durable.remove_file(target)
        durable.write_file(target, content)
    return target.parent


def sweep(workspace: Workspace, referenced: AbstractSet[str]) -> list[str]:
    """Remove copies that no catalogued query refers to; returns a warning per file that stayed."""
    warnings = []
    for directory in sorted(workspace.queries_dir.iterdir()):
        for path in sorted(directory.iterdir()) if directory.is_dir() else ():
            if path.name not in referenced:
                try:
                    durable.remove_file(path)
                except CdmlError as error:
                    warnings.append(str(error))
    return warnings


def _is_whole(path: Path, content_hash: str) -> bool:
    """Say whether the copy is there and complete; an interrupted run may have left a part of it."""
    return path.is_file() and sha256_of(_read_source(path)) == content_hash


def _read_source(path: Path) -> bytes:
    try:
        descriptor = open_file(path)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise WorkspaceError(f"{path} is no regular file any more: run the command again")
            return stream.read()
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise WorkspaceError(f"cannot read {path}: {reason}; run the command again") from error
