"""Read the next batch while the networks work on this one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from continual_dml.pixels import PixelRows

_Wanted = TypeVar("_Wanted")
_Read = TypeVar("_Read")


class PixelBatch(NamedTuple):
    """Rows (B,) of a task and their squares (B, S, S, 3) uint8 in host memory."""

    rows: NDArray[np.intp]
    pixels: Tensor


def pixel_batch(pixels: PixelRows, rows: NDArray[np.intp], *, pin: bool) -> PixelBatch:
    """Return ``rows`` of ``pixels``; ``pin``: page-locked, from where a GPU fetches by itself."""
    squares = torch.from_numpy(np.ascontiguousarray(pixels[rows]))
    return PixelBatch(rows, squares.pin_memory() if pin else squares)


def prefetched(wanted: Iterable[_Wanted], read: Callable[[_Wanted], _Read]) -> Iterator[_Read]:
    """Yield what ``read`` returns of each of ``wanted``, called in a thread one ahead of what is yielded.

    What is read may lie in a file that is mapped into memory, so that reading can take as long as a step.
    ``wanted`` itself goes on in the caller's thread, one ahead as well.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="pixels") as reader:
        ahead: Future[_Read] | None = None
        for one in wanted:
            following = reader.submit(read, one)
            if ahead is not None:
                yield ahead.result()
            ahead = following
        if ahead is not None:
            yield ahead.result()
