"""Room for a task's pixel squares: in memory, or in a file that vanishes with the process."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import StreamError


def allocate_pixels(count: int, side: int, directory: Path | None) -> NDArray[np.uint8]:
    """Return room for ``count`` squares (count, side, side, 3) uint8, with no particular content.

    Args:
        count: number of squares.
        side: in pixels.
        directory: None for memory, else where a nameless file is made. Nothing has to be removed afterwards:
            the file has no name, and its space is freed with the array, even after a crash.

    Raises:
        StreamError: the directory has no room for all of it. The space is reserved at once, because a full
            disk under a mapped file would kill the process later.
    """
    shape = (count, side, side, 3)
    size = count * side * side * 3
    if directory is None or size == 0:
        return np.empty(shape, dtype=np.uint8)
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, dtype=np.uint8, mode="r+", shape=shape)
    except OSError as error:
        raise StreamError(
            f"cannot reserve {size / 2**20:,.0f} MiB for pixels in {directory}: {error.strerror or error}; "
            "free some disk space or use a smaller image side"
        ) from error


def keep_rows(pixels: NDArray[np.uint8], rows: Sequence[int]) -> NDArray[np.uint8]:
    """Move ``rows`` (ascending) of ``pixels`` to the front, in place, and return that part."""
    for target, source in enumerate(rows):
        if target != source:
            pixels[target] = pixels[source]
    return pixels[: len(rows)]
