"""Large arrays that are made and freed again and again, without asking the system for their pages each time.

The C library hands what is larger than 32 MB back as soon as it is freed, and the system clears every page of
it when it is asked for the next time. Activations of networks are that large: a third of a training step can
go into this.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

# The numbers of mallopt(3), and what the C library comes to by itself once large arrays were freed.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_USUAL = {_MMAP_THRESHOLD: 32 * 2**20, _TRIM_THRESHOLD: 64 * 2**20, _MMAP_MAX: 65536}
_KEEPING = {_TRIM_THRESHOLD: 2**30, _MMAP_MAX: 0}


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Let the process keep up to 1 GB of what it frees within the block; then it is given back.

    Does nothing where the C library is not glibc. It holds for the whole process, whatever thread asks.
    """
    library = _library()
    if library is None:
        yield
        return
    _tell(library, _KEEPING)
    try:
        yield
    finally:
        _tell(library, _USUAL)
        library.malloc_trim(0)


def _library() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None


def _tell(library: ctypes.CDLL, options: dict[int, int]) -> None:
    for option, value in options.items():
        library.mallopt(option, value)
