"""From stored pixel squares to network inputs. Squares are one eighth larger than what the network sees."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def centre_crop(pixels: NDArray[np.uint8], side: int) -> torch.Tensor:
    """Return the middle ``side`` x ``side`` of squares (B, S, S, 3) as uint8 (B, side, side, 3)."""
    offset = (pixels.shape[1] - side) // 2
    return torch.from_numpy(np.ascontiguousarray(pixels[:, offset : offset + side, offset : offset + side]))


def training_view(
    pixels: NDArray[np.uint8], side: int, flip: bool, smallest_crop: float, random: np.random.Generator
) -> torch.Tensor:
    """Return a random window of each square (B, S, S, 3), scaled to ``side``, half mirrored if ``flip``.

    Args:
        pixels: stored squares.
        side: of the returned views, uint8 (B, side, side, 3).
        flip: whether a mirrored image shows the same category.
        smallest_crop: side of the smallest window, as a share of what the network sees at evaluation; 1 only
            shifts the window.
        random: where chance comes from.
    """
    count, stored = pixels.shape[0], pixels.shape[1]
    smallest = max(1, round(smallest_crop * side))
    windows: NDArray[np.int64] = np.asarray(random.integers(smallest, side + 1, size=count))
    mirrored: NDArray[np.bool_] = np.asarray(random.random(count) < (0.5 if flip else 0.0))
    view = torch.empty((count, side, side, 3), dtype=torch.uint8)
    for row, window in enumerate(windows):
        top, left = random.integers(0, stored - window + 1, size=2)
        cut = pixels[row, top : top + window, left : left + window]
        cut = cut[:, ::-1] if mirrored[row] else cut
        view[row] = _scaled(torch.from_numpy(np.ascontiguousarray(cut)), side)
    return view


def _scaled(image: torch.Tensor, side: int) -> torch.Tensor:
    """Return (S, S, 3) uint8 as (side, side, 3)."""
    if image.shape[0] == side:
        return image
    planes = image.permute(2, 0, 1).unsqueeze(0)
    scaled = functional.interpolate(planes, size=(side, side), mode="bilinear", antialias=True)
    return scaled[0].permute(1, 2, 0)


def normalised(view: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return uint8 (B, S, S, 3) as float32 (B, 3, S, S) with ImageNet's mean and spread, channels last."""
    scale = torch.tensor(IMAGENET_STD, device=device) * 255.0
    shift = torch.tensor(IMAGENET_MEAN, device=device) * 255.0
    images = (view.to(device, non_blocking=True).float() - shift) / scale
    return images.permute(0, 3, 1, 2)  # a channels-last tensor without copying
