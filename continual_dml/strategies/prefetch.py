"""Read the next batch's pixels while the networks work on this one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from continual_dml.pixels import PixelRows


class PixelBatch(NamedTuple):
    """Rows (B,) of a task and their squares (B, S, S, 3) uint8 in host memory."""

    rows: NDArray[np.intp]
    pixels: Tensor


def prefetched(batches: Iterable[NDArray[np.intp]], pixels: PixelRows, *, pin: bool) -> Iterator[PixelBatch]:
    """Yield each batch with its pixels, which a thread reads one batch ahead.

    Pixels may lie in a file that is mapped into memory, so that reading them can take as long as a step.

    Args:
        batches: row numbers, drawn in the caller's thread one batch ahead of what is yielded.
        pixels: of the task.
        pin: whether to copy them into page-locked memory, from where a GPU fetches them by itself.
    """

    def read(rows: NDArray[np.intp]) -> PixelBatch:
        squares = torch.from_numpy(np.ascontiguousarray(pixels[rows]))
        return PixelBatch(rows, squares.pin_memory() if pin else squares)

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="pixels") as reader:
        ahead: Future[PixelBatch] | None = None
        for rows in batches:
            following = reader.submit(read, rows)
            if ahead is not None:
                yield ahead.result()
            ahead = following
        if ahead is not None:
            yield ahead.result()
