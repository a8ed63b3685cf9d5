"""Opens where a data set lies: a folder as it is, an archive unpacked for as long as it is read."""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from continual_dml.errors import StreamError
from continual_dml.settings import StreamSettings


@contextmanager
def opened(location: Path, limits: StreamSettings, scratch: Path | None) -> Iterator[Path]:
    """Give the folder or file at ``location``; a .zip is unpacked to a temporary folder, removed afterwards.

    Args:
        location: folder, list file or .zip archive.
        limits: most entries of an archive, and largest of them.
        scratch: where the temporary folder is made; None for the system's place.

    Raises:
        StreamError: nothing is there, or an archive cannot be unpacked or breaks the limits.
    """
    if not location.exists():
        raise StreamError(f"there is no {location}")
    if location.suffix.lower() != ".zip" or location.is_dir():
        yield location.resolve()
        return
    with temporary_folder(scratch) as folder:
        _unpack(location, folder, limits)
        yield folder


@contextmanager
def temporary_folder(scratch: Path | None) -> Iterator[Path]:
    """Give an empty folder that is removed afterwards.

    Raises:
        StreamError: none can be made.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="cdml-stream-", dir=scratch)
    except OSError as error:
        raise StreamError(f"cannot make a temporary folder: {error.strerror or error}") from error
    with folder as path:
        yield Path(path).resolve()


def _unpack(archive: Path, folder: Path, limits: StreamSettings) -> None:
    try:
        with zipfile.ZipFile(archive) as content:
            entries = content.infolist()
            if len(entries) > limits.max_files:
                raise StreamError(f"{archive} has more than {limits.max_files:,} entries; raise max_files")
            for entry in entries:
                if entry.file_size > limits.max_file_bytes:
                    raise StreamError(
                        f"{archive}: {entry.filename[:80]} has {entry.file_size:,} bytes, over the limit "
                        f"of {limits.max_file_bytes:,}; unpack the archive yourself"
                    )
            content.extractall(folder)  # keeps every entry inside the folder and makes no links
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise StreamError(f"{archive} is not a zip archive that can be unpacked: {error}") from error
    except OSError as error:
        raise StreamError(f"cannot unpack {archive}: {error.strerror or error}") from error
