"""Leases: a reader says which generation it looks at, so that a writer leaves that one alone.

A lease is a shared ``flock`` on ``leases/<generation>``; the kernel gives it back however the reader ends.
Who wants to remove a generation claims it first, with the exclusive lock of the same file, and never waits.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from storage import durable
from storage.verified_files import open_file

_LOCKS = Path("/proc/locks")


def take(path: Path) -> int | None:
    """Take a shared lease, waiting for the moments that a writer needs to remove something.

    The caller must then ask whether the generation is still there, since the writer may have removed it.

    Returns:
        A descriptor; closing it gives the lease back. None where the folder cannot be written to and nobody
        has made the file yet: the reader then goes without.
    """
    try:
        descriptor = open_file(path)
    except FileNotFoundError:
        made = durable.open_or_create(path)
        if made is None:
            return None
        descriptor = made
    return _locked(descriptor, fcntl.LOCK_SH)


def claim(path: Path) -> int | None:
    """Claim a generation for removal.

    Returns:
        A descriptor; readers wait until it is closed. None where there is no file and none can be made: no
        reader can hold a lease then.

    Raises:
        BlockingIOError: a reader holds a lease.
    """
    descriptor = durable.open_or_create(path)
    return None if descriptor is None else _locked(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def holders(path: Path) -> list[int]:
    """Return the numbers of the processes that hold a lease, ascending; nothing where no one can tell.

    Linux tells in ``/proc/locks``; a process of another container has no number here and is left out.
    """
    try:
        found = path.stat()
        lines = _LOCKS.read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    wanted = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    held = [line.split() for line in lines if "->" not in line]  # those only wait
    return sorted({int(words[-4]) for words in held if words[-3] == wanted and words[-4].isdigit()})


def _locked(descriptor: int, operation: int) -> int:
    try:
        fcntl.flock(descriptor, operation)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
