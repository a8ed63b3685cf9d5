"""The state of a training run in one file, so that an interrupted ingest goes on where it was.

The file holds weights on their way to the next generation, never an image. The publication removes it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from continual_dml.errors import CorruptIndex, WorkspaceError
from storage import durable
from storage.tensor_files import parse_tensors, render_tensors
from storage.verified_files import open_file, sha256_of

EVERY_SECONDS = 60.0
_FORMAT = "cdml training state 1"


class WorkspaceCheckpoint:
    """Implements ``continual_dml.ports.Checkpoints``.

    Args:
        path: of the file.
        key: stands for all that decides the run; what another key has written is not read.
    """

    def __init__(self, path: Path, key: str) -> None:
        self._path = path
        self._key = key
        self._written = time.monotonic()
        self._fails = False

    def read(self) -> dict[str, NDArray[Any]] | None:
        """Return what was kept last of this very run, None where nothing is or it is not whole."""
        try:
            with os.fdopen(open_file(self._path), "rb") as stream:
                first, content = stream.readline(1000), stream.read()
        except OSError:
            return None
        if first != self._first_line(content):
            return None
        try:
            return parse_tensors(content, str(self._path))
        except CorruptIndex:
            return None

    def is_due(self, *, last: bool) -> bool:
        """Say whether the last state is a minute old, or whether it is time for the ``last`` one.

        A run that ends within its first minute is not kept at all.
        """
        age = time.monotonic() - self._written
        return not self._fails and (age >= EVERY_SECONDS or (last and self._path.exists()))

    def write(self, tensors: Mapping[str, NDArray[Any]]) -> str | None:
        """Keep the state in the place of the one before; return why it could not be kept, or None.

        After a failure nothing more is tried: learning goes on without.
        """
        content = render_tensors(tensors)
        try:
            durable.replace_file_atomically(self._path, [self._first_line(content), content])
        except WorkspaceError as error:
            self._fails = True
            with suppress(WorkspaceError):
                durable.remove_file(durable.beside_of(self._path))
            return str(error)
        self._written = time.monotonic()
        return None

    def remove(self) -> None:
        """Keep nothing any more."""
        discard(self._path)

    def _first_line(self, content: bytes) -> bytes:
        return f"{_FORMAT} {self._key} {sha256_of(content)}\n".encode()


def discard(path: Path) -> None:
    """Remove the state of whatever run, also a half-written one.

    Raises:
        WorkspaceError: the disk refuses.
    """
    durable.remove_file(path)
    durable.remove_file(durable.beside_of(path))
