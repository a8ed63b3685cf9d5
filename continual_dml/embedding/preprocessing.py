"""From stored pixel squares to network inputs. Squares are one eighth larger than what the network sees."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def centre_crop(pixels: NDArray[np.uint8], side: int) -> torch.Tensor:
    """Return the middle ``side`` x ``side`` of squares (B, S, S, 3) as uint8 (B, side, side, 3)."""
    offset = (pixels.shape[1] - side) // 2
    return torch.from_numpy(np.ascontiguousarray(pixels[:, offset : offset + side, offset : offset + side]))


def random_crop_and_flip(
    pixels: NDArray[np.uint8], side: int, flip: bool, random: np.random.Generator
) -> torch.Tensor:
    """Return the training view: a random window of each square (B, S, S, 3), half mirrored if ``flip``."""
    count, stored = pixels.shape[0], pixels.shape[1]
    corners = random.integers(0, stored - side + 1, size=(count, 2))
    mirrored: NDArray[np.bool_] = np.asarray(random.random(count) < (0.5 if flip else 0.0))
    view = np.empty((count, side, side, 3), dtype=np.uint8)
    for row, (top, left) in enumerate(corners):
        window = pixels[row, top : top + side, left : left + side]
        view[row] = window[:, ::-1] if mirrored[row] else window
    return torch.from_numpy(view)


def normalised(view: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return uint8 (B, S, S, 3) as float32 (B, 3, S, S) with ImageNet's mean and spread, channels last."""
    scale = torch.tensor(IMAGENET_STD, device=device) * 255.0
    shift = torch.tensor(IMAGENET_MEAN, device=device) * 255.0
    images = (view.to(device, non_blocking=True).float() - shift) / scale
    return images.permute(0, 3, 1, 2)  # a channels-last tensor without copying
