"""Remembers which files were proven whole, so that a large one need not be hashed again for every command.

A file counts as the same while device, inode, size, time of change and time of its inode's change are the
same, and a write changes the last of these whatever its author does. What is remembered lies in the user's
own cache folder; without one, or with a damaged one, files are simply hashed again. A disk that rots without
being written to is found by ``cdml verify``, which never asks here.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

from storage import durable

_MOST_ENTRIES = 1024
SETTLED_SECONDS = 2.0
"""A younger file may be written to once more within one tick of the file system's clock."""


def is_proven(descriptor: int, sha256: str) -> bool:
    """Say whether the open file is the very one that had this hash when it was last looked at."""
    return _remembered().get(sha256) == identity(descriptor)


def remember(descriptor: int, sha256: str) -> None:
    """Remember that the open file has this hash, and that its content was checked; may do nothing."""
    remember_all([(descriptor, sha256)])


def remember_all(files: Iterable[tuple[int, str]]) -> None:
    """Remember several open files, each given with its hash, as :func:`remember`."""
    path = _path()
    settled = {sha256: identity(descriptor) for descriptor, sha256 in files if is_settled(descriptor)}
    if path is None or not settled:
        return
    entries = {key: value for key, value in _remembered().items() if key not in settled}
    newest = dict([*entries.items(), *settled.items()][-_MOST_ENTRIES:])
    durable.replace_note(path, json.dumps(newest))


def is_settled(descriptor: int) -> bool:
    """Whether the open file is old enough for :func:`identity` to tell another one from it."""
    return time.time() - os.fstat(descriptor).st_ctime >= SETTLED_SECONDS


def identity(descriptor: int) -> list[int]:
    """Return what tells that nobody has written to an open file, once it is settled."""
    found = os.fstat(descriptor)
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _remembered() -> dict[str, list[int]]:
    path = _path()
    try:
        entries = json.loads(path.read_bytes()) if path is not None else {}
    except (OSError, ValueError):
        return {}
    return entries if isinstance(entries, dict) else {}


def _path() -> Path | None:
    given = os.environ.get("XDG_CACHE_HOME")
    try:
        folder = Path(given) if given and Path(given).is_absolute() else Path.home() / ".cache"
    except RuntimeError:  # there is no home
        return None
    return folder / "cdml" / "proven-files.json"
