"""Pixel squares that may be larger than memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class PixelRows(Protocol):
    """Squares (N, S, S, 3) uint8 RGB of which a few are asked for at a time; any such array is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: NDArray[np.integer] | slice, /) -> NDArray[np.uint8]:
        """Return the asked squares (n, S, S, 3) in memory."""


@dataclass(frozen=True, slots=True, eq=False)
class SelectedRows:
    """Some rows of a memory-mapped array, read only when they are asked for."""

    pixels: NDArray[np.uint8]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: NDArray[np.integer] | slice, /) -> NDArray[np.uint8]:
        """Return the asked squares (n, S, S, 3)."""
        return self.pixels[self.rows[rows]]
