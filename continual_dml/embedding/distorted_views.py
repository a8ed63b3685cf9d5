"""Distorted views of images, for what should hold of any image: how one model's features become another's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from continual_dml.pixels import PixelRows

SMALLEST, LARGEST = 0.6, 1.3
"""Side of what a view shows, as a share of the square's."""
SHEAR, SHIFT = 0.4, 0.2
"""At most; the shift in units of half a side."""


@dataclass(frozen=True, slots=True, eq=False)
class DistortedRows:
    """One view of each square (N, S, S, 3), turned by any angle, mirrored or not, scaled, sheared, shifted.

    What it shows may be of another category, so these are no training views. Beyond the border a square goes
    on as it ends there. The same row is always the same view. ``maps`` (N, 2, 3): from a view's coordinates,
    -1 to 1, to the square's.
    """

    pixels: PixelRows
    maps: NDArray[np.float32]

    @classmethod
    def drawn(cls, pixels: PixelRows, random: np.random.Generator) -> DistortedRows:
        """Return a view of each of ``pixels``, by chance from ``random``."""
        count = len(pixels)
        angles, shears = random.uniform(-np.pi, np.pi, count), random.uniform(-SHEAR, SHEAR, count)
        scales, mirrored = random.uniform(SMALLEST, LARGEST, count), random.choice([-1.0, 1.0], count)
        turns = np.array([[np.cos(angles), -np.sin(angles)], [np.sin(angles), np.cos(angles)]])
        slants = np.array([[mirrored, shears], [np.zeros(count), np.ones(count)]])
        maps = np.empty((count, 2, 3), dtype=np.float32)
        maps[:, :, :2] = np.einsum("abn,bcn,n->nac", turns, slants, scales)
        maps[:, :, 2] = random.uniform(-SHIFT, SHIFT, (count, 2))
        return cls(pixels, maps)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, rows: NDArray[np.integer] | slice, /) -> NDArray[np.uint8]:
        """Return the asked views (n, S, S, 3)."""
        squares = torch.from_numpy(np.ascontiguousarray(self.pixels[rows])).permute(0, 3, 1, 2).float()
        grid = functional.affine_grid(
            torch.from_numpy(self.maps[rows]), list(squares.shape), align_corners=False
        )
        views = functional.grid_sample(squares, grid, padding_mode="border", align_corners=False)
        drawn: NDArray[np.uint8] = views.round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        return drawn
