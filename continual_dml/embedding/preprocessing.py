"""From stored pixel squares to network inputs. Squares are one eighth larger than what the network sees."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from continual_dml.interchange import IMAGENET_MEAN, IMAGENET_STD


def centre_crop(pixels: NDArray[np.uint8], side: int) -> torch.Tensor:
    """Return the middle ``side`` x ``side`` of squares (B, S, S, 3) as uint8 (B, side, side, 3)."""
    offset = (pixels.shape[1] - side) // 2
    return torch.from_numpy(np.ascontiguousarray(pixels[:, offset : offset + side, offset : offset + side]))


def training_views(
    pixels: torch.Tensor,
    side: int,
    *,
    flip: bool,
    smallest_crop: float,
    random: np.random.Generator,
    device: torch.device,
) -> torch.Tensor:
    """Return a random window of each square, scaled to ``side`` and half of them mirrored, as network inputs.

    Windows are no larger than ``side``, so that scaling never shrinks and needs no smoothing.

    Args:
        pixels: stored squares (B, S, S, 3) uint8.
        side: of the returned images (B, 3, side, side).
        flip: whether a mirrored image shows the same category.
        smallest_crop: side of the smallest window as a share of ``side``; 1 only shifts the window.
        random: where chance comes from.
        device: where the images are wanted.
    """
    count, stored = pixels.shape[0], pixels.shape[1]
    windows: NDArray[np.float64] = np.asarray(random.uniform(smallest_crop * side, side, size=count))
    corners = random.random((count, 2)) * (stored - windows)[:, None]
    mirrored = random.random(count) < 0.5 if flip else np.zeros(count, dtype=np.bool_)
    if smallest_crop == 1.0:
        return normalised(_cut_out(pixels.to(device, non_blocking=True), corners, mirrored, side), device)
    centres = (corners + windows[:, None] / 2) / stored * 2 - 1
    window_of = np.zeros((count, 2, 3))
    window_of[:, 0, 0] = np.where(mirrored, -1.0, 1.0) * windows / stored
    window_of[:, 1, 1] = windows / stored
    window_of[:, :, 2] = centres
    grid = functional.affine_grid(
        torch.from_numpy(window_of).float().to(device), [count, 3, side, side], align_corners=False
    )
    squares = normalised(pixels, device)
    views = functional.grid_sample(squares, grid, padding_mode="border", align_corners=False)
    return views.contiguous(memory_format=torch.channels_last)


def _cut_out(
    pixels: torch.Tensor, corners: NDArray[np.float64], mirrored: NDArray[np.bool_], side: int
) -> torch.Tensor:
    """Return a window (side, side, 3) of each square; whole pixels need no interpolation, and no floats.

    Args:
        pixels: (B, S, S, 3) uint8.
        corners: (B, 2) of the windows, column and row, to be rounded.
        mirrored: (B,) whether a window is.
        side: of the windows.
    """
    views = torch.empty((len(pixels), side, side, 3), dtype=torch.uint8, device=pixels.device)
    places = corners.round().astype(np.int64).tolist()
    for view, square, (left, top), is_mirrored in zip(views, pixels, places, mirrored.tolist(), strict=True):
        window = square[top : top + side, left : left + side]
        view.copy_(window.flip(1) if is_mirrored else window)
    return views


def normalised(view: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return uint8 (B, S, S, 3) as float32 (B, 3, S, S) with ImageNet's mean and spread, channels last."""
    # A row of pixels at a time: three numbers at a time, or a new tensor for each step, take thrice as long.
    width = view.shape[2]
    scale = (torch.tensor(IMAGENET_STD, device=device) * 255.0).repeat(width)
    shift = (torch.tensor(IMAGENET_MEAN, device=device) * 255.0).repeat(width)
    images = _room(tuple(view.shape), device).copy_(view, non_blocking=True)
    images.flatten(2).sub_(shift).div_(scale)
    return images.permute(0, 3, 1, 2)  # a channels-last tensor without copying


def _room(shape: tuple[int, ...], device: torch.device) -> torch.Tensor:
    """Return a tensor with no particular content; numpy asks for large pages, which are there far sooner."""
    if device.type == "cpu":
        return torch.from_numpy(np.empty(shape, dtype=np.float32))
    return torch.empty(shape, device=device)
