"""Features on their way to the next generation, so that an interrupted ingest need not embed images again.

They lie in one directory of the workspace, about a minute's worth in a file. A file is named for the live
generation, for the run that wrote it, and for its own SHA-256: one that is not whole, or of another run, is
as good as none. The next publication of whatever kind removes all of them, or the next writer after it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from continual_dml.errors import CorruptIndex, WorkspaceError
from storage import durable
from storage.checkpoint import EVERY_SECONDS
from storage.tensor_files import render_tensors, view_tensors
from storage.verified_files import map_verified, open_file, sha256_of

Arrays = dict[str, NDArray[Any]]


class WorkspaceShards:
    """Implements ``continual_dml.ports.Shards``.

    Args:
        directory: of the shards; made when the first one is written.
        generation: number of the live one, 0 before the first.
        key: a hash, in hexadecimal, of all that decides the run; what another key has written is not read.
    """

    def __init__(self, directory: Path, generation: int, key: str) -> None:
        self._directory = directory
        self._prefix = f"{_of(generation)}{key}-"
        self._found: dict[str, Arrays] | None = None
        self._pending: Arrays = {}
        self._written = time.monotonic()
        self._fails = False

    def find(self, name: str) -> Arrays | None:
        """Return the arrays that were kept as ``name``, read-only, or None."""
        if self._found is None:
            self._found = dict(self._read())
        return self._found.get(name)

    def keep(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> str | None:
        """Keep ``arrays`` with the next shard, which is written when the last one is a minute old.

        What is embedded within one minute is not kept at all. After a failure nothing more is tried.

        Returns:
            Why nothing could be kept, once; else None.
        """
        if self._fails:
            return None
        self._pending |= {f"{name}/{each}": array for each, array in arrays.items()}
        if time.monotonic() - self._written < EVERY_SECONDS:
            return None
        content, self._pending = render_tensors(self._pending), {}
        path = self._directory / f"{self._prefix}{sha256_of(content)}"
        try:
            durable.make_directory(self._directory)
            for other in _paths(self._directory):
                if not other.name.startswith(self._prefix):  # another run's are of no use any more
                    durable.remove_file(other)
            durable.replace_file_atomically(path, content)
        except WorkspaceError as error:
            self._fails = True
            with suppress(WorkspaceError):
                durable.remove_file(durable.beside_of(path))
            return str(error)
        self._written = time.monotonic()
        return None

    def remove(self) -> None:
        """Keep nothing any more, of whatever run."""
        self._found, self._pending = None, {}
        discard(self._directory)

    def _read(self) -> Iterator[tuple[str, Arrays]]:
        """Yield the chunks of all whole shards of this run as they lie in their files, mapped into memory."""
        for path in _paths(self._directory):
            found: dict[str, Arrays] = {}
            if not path.name.startswith(self._prefix):
                continue
            try:
                descriptor = open_file(path)
                try:
                    size, sha256 = os.fstat(descriptor).st_size, path.name.rpartition("-")[2]
                    content = map_verified(descriptor, str(path), size, sha256, afresh=True).content
                finally:
                    os.close(descriptor)
                for name, array in view_tensors(content, str(path)).items():
                    chunk, _, each = name.partition("/")
                    found.setdefault(chunk, {})[each] = array
            except (OSError, CorruptIndex):
                continue
            yield from found.items()


def discard(directory: Path) -> None:
    """Remove the shards of whatever run, also half-written ones.

    Raises:
        WorkspaceError: the disk refuses.
    """
    if directory.exists():
        durable.remove_tree(directory)


def discard_outdated(directory: Path, generation: int) -> None:
    """Remove all shards if any was written for another generation than the live one; raises as above.

    A publication that ended before it could tidy up leaves such ones: features, perhaps, of purged images.
    """
    if any(not path.name.lstrip(".").startswith(_of(generation)) for path in _paths(directory)):
        discard(directory)


def _of(generation: int) -> str:
    return f"{generation:08d}-"


def _paths(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []
