"""Arrays in files that have no name: larger than memory, and gone with the process."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray


def nameless_array(shape: tuple[int, ...], dtype: DTypeLike, directory: Path | None) -> NDArray[np.generic]:
    """Return an array in a file without a name, with no particular content.

    Nothing has to be removed afterwards: the space is freed with the array, even after a crash.

    Args:
        shape: of the array.
        dtype: of its numbers.
        directory: where the file is made; None for the system's folder for temporary files.

    Raises:
        OSError: the directory has no room for all of it. The space is reserved at once, because a full disk
            under a mapped file would kill the process later.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size == 0:
        return np.empty(shape, dtype=dtype)
    with tempfile.TemporaryFile(dir=directory) as file:
        os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, dtype=dtype, mode="r+", shape=shape)
