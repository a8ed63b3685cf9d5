"""Images that are tensors already, as others hand them over."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from continual_dml.errors import StreamError

# Resampling may overshoot 0..1 by a little; a normalised image is outside by far.
_OVERSHOOT = 0.005


def eight_bit(image: torch.Tensor, where: str) -> NDArray[np.uint8]:
    """Return the pixels (H, W, 3) uint8 of an image that is a tensor.

    Args:
        image: (C, H, W) or (H, W) with 1 or 3 channels, uint8 or floats within 0..1, on any device.
        where: what to call it in an error.

    Raises:
        StreamError: another shape, another type, or values that are normalised already.

    >>> eight_bit(torch.tensor([[0.0, 1.0]]), "it").tolist()
    [[[0, 0, 0], [255, 255, 255]]]
    """
    planes = image[None] if image.ndim == 2 else image
    if planes.ndim != 3 or planes.shape[0] not in (1, 3) or planes.numel() == 0:
        raise StreamError(
            f"{where} has shape {tuple(image.shape)}; an image is (C, H, W) with 1 or 3 channels, so leave "
            "out transforms that flatten"
        )
    if planes.is_floating_point():
        low, high = float(planes.min()), float(planes.max())
        if not (low >= -_OVERSHOOT and high <= 1.0 + _OVERSHOOT):  # also true of NaN
            raise StreamError(
                f"{where} has values from {low:.3g} to {high:.3g} instead of 0 to 1; give images from a "
                "transform without Normalize, because cdml normalises by itself"
            )
        planes = (planes.detach().float() * 255.0).round().clamp(0, 255).to(torch.uint8)
    if planes.dtype is not torch.uint8:
        raise StreamError(f"{where} is {planes.dtype}; pixels are uint8, or floats from 0 to 1")
    return planes.expand(3, -1, -1).permute(1, 2, 0).contiguous().cpu().numpy()
