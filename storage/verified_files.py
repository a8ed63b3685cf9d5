"""Reads files that somebody else could have damaged: no symbolic link followed, size and hash checked."""

from __future__ import annotations

import hashlib
import mmap
import os
from dataclasses import dataclass
from pathlib import Path

from continual_dml.errors import CorruptIndex
from storage.proven_files import identity, is_proven, is_settled

ADVICE = "try `cdml verify --repair`, else restore a backup, or ingest the tasks again in a new workspace"
_MOST_READ = 4096
_READ: dict[tuple[int, ...], str] = {}
"""Hashes of files that this process has read, by what tells that they are as they were."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """A file in memory; ``proven``: it was opened before and has not been changed since."""

    content: mmap.mmap | bytes
    proven: bool


def sha256_of(content: bytes) -> str:
    """Return the SHA-256 of ``content`` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def open_file(path: Path) -> int:
    """Open a file for reading, following no symbolic link; the caller closes the descriptor."""
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)


def open_published(path: Path) -> int:
    """Open a file that was published; the caller closes the descriptor.

    Raises:
        FileNotFoundError: it is gone, for instance because a writer removed its generation.
        CorruptIndex: it cannot be opened.
    """
    try:
        return open_file(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CorruptIndex(f"cannot open {path}: {os.strerror(error.errno or 0)}; {ADVICE}") from error


def read_published(path: Path, size: int | None, sha256: str) -> bytes:
    """Open a file as :func:`open_published` and read it as :func:`read_verified`; raises as these."""
    descriptor = open_published(path)
    try:
        return read_verified(descriptor, str(path), size, sha256)
    finally:
        os.close(descriptor)


def map_verified(descriptor: int, where: str, size: int, sha256: str, *, afresh: bool) -> Mapped:
    """Map a whole file into memory and accept it only if its size and hash are the expected ones.

    Published files are never written to again, so what was mapped stays what was checked.

    Args:
        descriptor: of the file; may be closed afterwards.
        where: its path, for messages.
        size: bytes that it must have.
        sha256: hash that it must have.
        afresh: whether to hash it even if it was proven before.

    Raises:
        CorruptIndex: it differs or cannot be read.
    """
    content = map_proved(descriptor, where, size)
    proven = not afresh and is_proven(descriptor, sha256)
    if not proven and hashlib.sha256(content).hexdigest() != sha256:
        raise CorruptIndex(f"{where} differs from what was published: {ADVICE}")
    if not proven:
        _note_read(descriptor, sha256)
    return Mapped(content, proven)


def map_staged(path: Path, size: int) -> mmap.mmap | bytes:
    """Map a file that was just written, or taken over, for a generation that is not published yet.

    Raises:
        CorruptIndex: it cannot be read.
        FileNotFoundError: it is gone.
    """
    descriptor = open_published(path)
    try:
        return map_proved(descriptor, str(path), size)
    finally:
        os.close(descriptor)


def map_proved(descriptor: int, where: str, size: int) -> mmap.mmap | bytes:
    """Map a whole file whose hash was compared before.

    Raises:
        CorruptIndex: it has another size or cannot be read.
    """
    try:
        found = os.fstat(descriptor).st_size
        if found != size:
            raise CorruptIndex(f"{where} has {found} bytes instead of {size}: {ADVICE}")
        return mmap.mmap(descriptor, size, access=mmap.ACCESS_READ) if size else b""
    except OSError as error:
        raise CorruptIndex(f"cannot read {where}: {os.strerror(error.errno or 0)}; {ADVICE}") from error


def read_verified(descriptor: int, where: str, size: int | None, sha256: str) -> bytes:
    """Read a whole file and accept it only if its size and hash are the expected ones.

    The hash is taken of the very bytes that are returned, so nothing can change between check and use.

    Raises:
        CorruptIndex: it differs or cannot be read.
    """
    try:
        found = os.fstat(descriptor).st_size
        if size is not None and found != size:
            raise CorruptIndex(f"{where} has {found} bytes instead of {size}: {ADVICE}")
        pieces, offset = [], 0
        while piece := os.pread(descriptor, max(found - offset, 1), offset):  # all at once: nothing is joined
            pieces.append(piece)
            offset += len(piece)
    except OSError as error:
        raise CorruptIndex(f"cannot read {where}: {os.strerror(error.errno or 0)}; {ADVICE}") from error
    content = b"".join(pieces)
    if sha256_of(content) != sha256:
        raise CorruptIndex(f"{where} differs from what was published: {ADVICE}")
    _note_read(descriptor, sha256)
    return content


def was_read(descriptor: int, sha256: str) -> bool:
    """Whether this process has compared the open file with this hash, as it is now."""
    return _READ.get(tuple(identity(descriptor))) == sha256


def _note_read(descriptor: int, sha256: str) -> None:
    if is_settled(descriptor):
        if len(_READ) >= _MOST_READ:
            _READ.clear()
        _READ[tuple(identity(descriptor))] = sha256
