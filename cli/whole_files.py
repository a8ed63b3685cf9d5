"""Results that are written into files as a whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from continual_dml.errors import CdmlError


def write_whole(path: Path, content: bytes, advice: str = "choose another place with -o") -> None:
    """Write a file beside its place and rename it, so that nobody ever meets half of it.

    Args:
        path: of the file; one that is there is replaced.
        content: of the file.
        advice: what to do where it cannot be written.

    Raises:
        CdmlError: the system refuses; what was there before stays.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())  # else a power cut could leave the new name with nothing in it
        part.replace(path)
    except OSError as error:
        raise CdmlError(f"cannot write {path}: {error.strerror or error}; {advice}") from error
    finally:
        with suppress(OSError):
            part.unlink()
