"""Some rows of any pixel squares, without copying them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from continual_dml.pixels import PixelRows


@dataclass(frozen=True, slots=True, eq=False)
class ChosenRows:
    """The rows ``rows`` (n,) of any ``pixels``, read only when they are asked for."""

    pixels: PixelRows
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: NDArray[np.integer] | slice, /) -> NDArray[np.uint8]:
        """Return the asked squares (n, S, S, 3)."""
        return self.pixels[self.rows[rows]]
