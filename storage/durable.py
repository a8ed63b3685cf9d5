"""The only module that writes files. What a function here has returned from survives a power cut.

Every file is created once and never changed (``O_EXCL``, no symbolic link followed), hashed on the way to the
disk, and flushed before its name is relied on. A failed flush is never tried again on the same file, because
the kernel may have dropped the dirty pages and would report success the second time.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from continual_dml.errors import WorkspaceError

_CHUNK_BYTES = 1 << 20
_CANNOT_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP)
_NEXT_STEP = {
    errno.ENOSPC: "free some space and run the command again",
    errno.EDQUOT: "free some of the quota and run the command again",
    errno.EROFS: "make the file system writable",
    errno.EACCES: "give yourself the right to write there",
    errno.EIO: "check the disk, then run the command again",
}


@dataclass(frozen=True, slots=True)
class FileEntry:
    """What a manifest says about one file: ``size`` in bytes and the SHA-256 in hexadecimal."""

    size: int
    sha256: str


@contextmanager
def _reported(action: str, path: Path) -> Iterator[None]:
    """Turn an operating-system error into one line that says what to do next."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        advice = _NEXT_STEP.get(error.errno or 0, "look at the folder and run the command again")
        raise WorkspaceError(f"cannot {action} {path}: {reason}; {advice}") from error


def write_file(path: Path, content: bytes | Iterable[bytes], mode: int = 0o644) -> FileEntry:
    """Create ``path`` with ``content`` and flush it to the disk.

    Args:
        path: a name that does not exist yet.
        content: the bytes, whole or in pieces.
        mode: permission bits before the umask.

    Raises:
        WorkspaceError: the file exists, or the system could not write it; nothing is left behind then.
    """
    pieces = (content,) if isinstance(content, bytes) else content
    digest, size = hashlib.sha256(), 0
    with _reported("write", path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                for piece in pieces:
                    stream.write(piece)
                    digest.update(piece)
                    size += len(piece)
                stream.flush()
                os.fsync(stream.fileno())
        except Exception:
            with suppress(OSError):
                path.unlink()
            raise
    return FileEntry(size, digest.hexdigest())


def fsync_directory(path: Path) -> None:
    """Make the names inside ``path`` durable."""
    with _reported("flush", path):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_directory(path: Path) -> None:
    """Create ``path`` and its parents; an existing directory is fine."""
    with _reported("create", path):
        path.mkdir(parents=True, exist_ok=True)


def rename(source: Path, target: Path) -> None:
    """Give ``source`` the name ``target``; durable after the parent directory is flushed."""
    with _reported("rename", source):
        source.rename(target)


def link_or_copy(source: Path, target: Path) -> bool:
    """Let ``target`` hold the content of ``source``: a hard link where the file system can, else a copy.

    Returns:
        Whether it is a link: another name of the very same file.
    """
    with _reported("link", target):
        try:
            os.link(source, target, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _CANNOT_LINK:
                raise
        else:
            return True
    with _reported("read", source), source.open("rb") as stream:
        write_file(target, iter(lambda: stream.read(_CHUNK_BYTES), b""))
    return False


def remove_file(path: Path) -> None:
    """Remove one file; a missing one is fine."""
    with _reported("remove", path):
        path.unlink(missing_ok=True)


def remove_empty_directory(path: Path) -> None:
    """Remove a directory that holds nothing; one that does stays, and that is an error."""
    with _reported("remove", path):
        path.rmdir()


def remove_tree(path: Path) -> None:
    """Remove a directory with all that is in it; a missing one is fine."""
    with _reported("remove", path), suppress(FileNotFoundError):
        shutil.rmtree(path)


def open_or_create(path: Path) -> int | None:
    """Open a file that is there to be locked, made where it is missing; nobody relies on its name or content.

    Returns:
        A descriptor, which the caller closes; None where the system refuses.
    """
    with suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    return None


def leave_note(path: Path, text: str) -> None:
    """Overwrite ``path`` with a text that nobody relies on, such as who holds a lock; it may fail."""
    with suppress(OSError):
        path.write_text(text, encoding="utf-8")


def replace_note(path: Path, text: str) -> None:
    """Let ``path`` hold a text that nobody relies on, such as what is only there for speed; it may fail."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)


def replace_text_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Let ``path`` hold ``text``: a reader sees the old content or the new one, never a part."""
    replace_file_atomically(path, text.encode("utf-8"), mode)


def replace_file_atomically(path: Path, content: bytes | Iterable[bytes], mode: int = 0o644) -> None:
    """Let ``path`` hold ``content``, whole or in pieces; as :func:`replace_text_atomically`."""
    beside = beside_of(path)
    remove_file(beside)
    write_file(beside, content, mode)
    with _reported("replace", path):
        beside.replace(path)
    fsync_directory(path.parent)


def beside_of(path: Path) -> Path:
    """Return where a file is written before it gets the name ``path``."""
    return path.with_name(f".{path.name}.new")
