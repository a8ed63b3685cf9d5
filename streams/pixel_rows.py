"""Room for a task's pixel squares: in memory, or in a file that vanishes with the process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import StreamError
from continual_dml.nameless_files import nameless_array


def allocate_pixels(count: int, side: int, directory: Path | None) -> NDArray[np.uint8]:
    """Return room for ``count`` squares (count, side, side, 3) uint8, with no particular content.

    Args:
        count: number of squares.
        side: in pixels.
        directory: None for memory, else where a nameless file is made that vanishes with the array.

    Raises:
        StreamError: the directory has no room for all of it.
    """
    shape = (count, side, side, 3)
    if directory is None:
        return np.empty(shape, dtype=np.uint8)
    try:
        return cast("NDArray[np.uint8]", nameless_array(shape, np.uint8, directory))
    except OSError as error:
        size = count * side * side * 3
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
