"""A disk that forgets: which content and which names survive a power cut after each call to the system.

What fsync of a file promises is its content, what fsync of a directory promises is the names in it, and
nothing else is promised. Between "only what was promised" and "everything" a real disk may keep any mixture;
the ones that break programs in practice are built here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.system_calls import Call

Write = tuple[int, bytes]
"""Offset and bytes; a negative offset -n-1 cuts the file to n bytes."""
Survivors = Callable[[list[Write]], list[Write]]


def _every_other(writes: list[Write]) -> list[Write]:
    return writes[1::2]


def _torn(writes: list[Write]) -> list[Write]:
    """Keep all but the last, of which the first half."""
    if not writes:
        return []
    offset, content = writes[-1]
    return [*writes[:-1], *([(offset, content[: len(content) // 2])] if offset >= 0 else [])]


def _all(writes: list[Write]) -> list[Write]:
    return writes


def _none(_: list[Write]) -> list[Write]:
    return []


SURVIVALS: dict[str, tuple[bool, Survivors]] = {
    "only what was flushed": (False, _none),
    "names, no content": (True, _none),
    "content, no names": (False, _all),
    "names, every other write": (True, _every_other),
    "names, last write torn": (True, _torn),
    "everything": (True, _all),
}
"""Whether names survive that no flush has promised, and which writes do."""


@dataclass(slots=True, eq=False)
class _Inode:
    """A file's content as promised, and the writes since; or a directory's names as promised and as now."""

    durable: bytes = b""
    pending: list[Write] = field(default_factory=list)
    is_directory: bool = False
    names: dict[str, _Inode] = field(default_factory=dict)
    durable_names: dict[str, _Inode] = field(default_factory=dict)

    def content(self, survivors: Survivors) -> bytes:
        content = bytearray(self.durable)
        for offset, piece in survivors(self.pending):
            if offset < 0:
                size = -offset - 1
                content = content[:size].ljust(size, b"\0")
            else:
                content = content.ljust(offset, b"\0")
                content[offset : offset + len(piece)] = piece
        return bytes(content)


class Disk:
    """The files below ``root`` as they are now, all durable; :meth:`apply` lets calls happen to them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._top = _loaded(root)
        self._ends: dict[Path, int] = {}

    def apply(self, call: Call) -> bool:
        """Let ``call`` happen; returns whether it concerned this disk at all."""
        return getattr(self, f"_{_SAME.get(call.name, call.name)}")(call)

    def states(self) -> Iterator[tuple[str, dict[str, bytes | None]]]:
        """Yield each way in which the disk can survive a power cut now: path to content, None a directory."""
        for name, (with_names, survivors) in SURVIVALS.items():
            yield name, dict(_walked(self._top, "", with_names, survivors))

    def _find(self, path: Path) -> _Inode | None:
        found: _Inode | None = self._top
        for part in path.relative_to(self._root).parts:
            found = None if found is None else found.names.get(part)
        return found

    def _inside(self, path: Path) -> bool:
        return path.is_relative_to(self._root) and not path.name.endswith("-shm")

    def _openat(self, call: Call) -> bool:
        path = call.opened
        if not self._inside(path):
            return False
        self._ends[path] = 0
        inode = self._find(path)
        if inode is None:
            assert "O_CREAT" in call.arguments, call
            self._parent(path).names[path.name] = _Inode()
        elif "O_TRUNC" in call.arguments:
            inode.pending.append((-1, b""))
        else:
            return False
        return True

    def _write(self, call: Call) -> bool:
        if not self._inside(call.file):
            return False
        content = call.texts[0][: int(call.returned)]
        return self._written(call.file, self._ends.get(call.file, 0), content)

    def _pwrite64(self, call: Call) -> bool:
        if not self._inside(call.file):
            return False
        content = call.texts[0][: int(call.returned)]
        return self._written(call.file, int(call.arguments.rpartition(",")[2]), content)

    def _written(self, path: Path, offset: int, content: bytes) -> bool:
        inode = self._find(path)
        assert inode is not None, path
        inode.pending.append((offset, content))
        self._ends[path] = offset + len(content)
        return True

    def _ftruncate(self, call: Call) -> bool:
        if not self._inside(call.file):
            return False
        inode = self._find(call.file)
        assert inode is not None
        inode.pending.append((-int(call.arguments.rpartition(",")[2]) - 1, b""))
        return True

    def _fsync(self, call: Call) -> bool:
        inode = self._find(call.file) if self._inside(call.file) else None
        if inode is None:
            return False
        inode.durable, inode.pending = inode.content(_all), []
        inode.durable_names = dict(inode.names)
        return True

    def _mkdir(self, call: Call) -> bool:
        path = Path(call.texts[0].decode())
        if not self._inside(path):
            return False
        self._parent(path).names[path.name] = _Inode(is_directory=True)
        return True

    def _unlink(self, call: Call) -> bool:
        path = self._named(call)
        if not self._inside(path):
            return False
        self._parent(path).names.pop(path.name)
        return True

    def _rename(self, call: Call) -> bool:
        source, target = (Path(text.decode()) for text in call.texts)
        if not self._inside(source):
            return False
        self._parent(target).names[target.name] = self._parent(source).names.pop(source.name)
        return True

    def _link(self, call: Call) -> bool:
        source, target = (Path(text.decode()) for text in call.texts)
        if not self._inside(target):
            return False
        self._parent(target).names[target.name] = self._parent(source).names[source.name]
        return True

    def _named(self, call: Call) -> Path:
        """Return the path of a call that may name it relative to a descriptor."""
        path = Path(call.texts[0].decode())
        return path if path.is_absolute() else call.file / path

    def _parent(self, path: Path) -> _Inode:
        found = self._find(path.parent)
        assert found is not None, path
        return found


_SAME = {"fdatasync": "fsync", "linkat": "link", "unlinkat": "unlink", "rmdir": "unlink"}


def digest(state: dict[str, bytes | None]) -> str:
    """Return a hash of a state, to tell equal ones."""
    found = hashlib.sha256()
    for path, content in sorted(state.items()):
        found.update(repr((path, content)).encode())
    return found.hexdigest()


def write_out(state: dict[str, bytes | None], root: Path) -> None:
    """Make ``root`` hold ``state``."""
    root.mkdir()
    for path, content in sorted(state.items()):
        if content is None:
            (root / path).mkdir()
        else:
            (root / path).write_bytes(content)


def _loaded(path: Path) -> _Inode:
    if not path.is_dir():
        return _Inode(path.read_bytes())
    names = {child.name: _loaded(child) for child in path.iterdir() if not child.name.endswith("-shm")}
    return _Inode(is_directory=True, names=names, durable_names=dict(names))


def _walked(
    directory: _Inode, prefix: str, with_names: bool, survivors: Survivors
) -> Iterator[tuple[str, bytes | None]]:
    for name, inode in (directory.names if with_names else directory.durable_names).items():
        path = f"{prefix}{name}"
        if inode.is_directory:
            yield path, None
            yield from _walked(inode, f"{path}/", with_names, survivors)
        else:
            yield path, inode.content(survivors)
