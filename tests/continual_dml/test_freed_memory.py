"""Memory that is freed and asked for again."""

from __future__ import annotations

import platform
import resource
from pathlib import Path

import numpy as np
import pytest

from continual_dml.embedding.freed_memory import freed_memory_kept

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
MB, PAGES = 96, 96 * 256


def pages_asked_for() -> int:
    """Return how many pages a large array needs from the system the second time that it is made."""
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        np.ones(MB * 2**20, dtype=np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_an_array_that_is_made_again_needs_no_new_pages_within_the_block() -> None:
    with freed_memory_kept():
        assert pages_asked_for() < PAGES / 100


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def test_what_was_kept_is_given_back_after_the_block() -> None:
    before = resident_mb()
    with freed_memory_kept():
        pages_asked_for()
        assert resident_mb() > before + MB / 2
    assert resident_mb() < before + MB / 2
