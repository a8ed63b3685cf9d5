"""Every colour mode that Pillow may hand out, turned into plain 8-bit RGB without clipping."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WHITE = (255, 255, 255)
_SIXTEEN_TO_EIGHT_BITS = 257.0  # 65535 / 255


def to_rgb(image: Image.Image) -> Image.Image:
    """Return a loaded ``image`` as 8-bit RGB.

    Transparent parts show white, as on paper. Greys deeper than 8 bits are scaled, never clipped: 16-bit
    values by their full range, 32-bit integers and floats by the range that the image uses (floats that
    stay within 0..1 by that range).

    Raises:
        ValueError: Pillow knows no way from the image's mode to RGB.
    """
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_grey_8_bit(image)).convert("RGB")
    if image.has_transparency_data:
        return _on_white(image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    paper = Image.new("RGB", image.size, WHITE)
    paper.paste(image, mask=image.getchannel("A"))
    return paper


def _grey_8_bit(image: Image.Image) -> NDArray[np.uint8]:
    """Return one-channel integers or floats (H, W) as uint8 (H, W)."""
    values = np.nan_to_num(np.asarray(image).astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    # A 16-bit PNG has mode I;16 or, from some Pillow versions, I; its range is the format's either way.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        scaled = values / _SIXTEEN_TO_EIGHT_BITS
    elif image.mode == "F" and values.min() >= 0.0 and values.max() <= 1.0:
        scaled = values * 255.0
    else:
        low, high = float(values.min()), float(values.max())
        scaled = (values - low) * (255.0 / (high - low)) if high > low else np.zeros_like(values)
    grey: NDArray[np.uint8] = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return grey
