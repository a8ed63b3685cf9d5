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


@dataclass(frozen=True, slots=True, eq=False)
class JoinedRows:
    """The squares of one set followed by those of another, of the same size."""

    first: PixelRows
    second: PixelRows

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def __getitem__(self, rows: NDArray[np.integer] | slice, /) -> NDArray[np.uint8]:
        """Return the asked squares (n, S, S, 3)."""
        wanted = np.arange(len(self))[rows]
        of_second = wanted >= len(self.first)
        own = self.first[wanted[~of_second]]
        squares = np.empty((len(wanted), *own.shape[1:]), dtype=np.uint8)
        squares[~of_second] = own
        squares[of_second] = self.second[wanted[of_second] - len(self.first)]
        return squares
