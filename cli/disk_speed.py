"""How long it takes to write for good: a nameless file in the workspace, gone when it is closed."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

LARGE = 4 * 2**20
FLUSHES = 3


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
