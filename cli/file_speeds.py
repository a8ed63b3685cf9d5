"""How long it takes to write for good, into a nameless file in the workspace, and to read images again."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from continual_dml.ports import ImageReader

LARGE = 4 * 2**20
FLUSHES = 3
MOST_IMAGES = 64


def disk_speed(folder: Path) -> tuple[float, float]:
    """Return the seconds of flushing a small file in ``folder``, and of each byte of a large one."""
    with tempfile.TemporaryFile(dir=folder) as file:
        begin = time.perf_counter()
        for _ in range(FLUSHES):
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
        small = (time.perf_counter() - begin) / FLUSHES
        content, begin = os.urandom(LARGE), time.perf_counter()
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        large = time.perf_counter() - begin
    return small, max(0.0, large - small) / LARGE


def reading_speed(paths: Sequence[str], reader: ImageReader) -> float:
    """Return the seconds of reading one more image like those in ``paths``, of which a few are read again."""
    chosen = paths[:: max(1, len(paths) // MOST_IMAGES)][:MOST_IMAGES]
    begin = time.perf_counter()
    reader.read(chosen)
    return (time.perf_counter() - begin) / max(1, len(chosen))
