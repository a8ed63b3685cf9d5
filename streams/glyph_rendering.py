"""One picture of one character: face, size, turn, colours, background and noise are drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from continual_dml.errors import StreamError
from streams.glyph_faces import draw_ink

Floats = NDArray[np.float32]

_FONT_SCALE = 2  # ink is drawn larger than it will be, then scaled down antialiased
_TURN_DEGREES = 12.0
_EXTENT = (0.58, 0.84)  # longest side of the ink, as a share of the picture's side
_SQUEEZE = (0.9, 1.1)
_LEAST_CONTRAST = 100.0  # between ink and background, in luminance steps of 255
_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601


def render_glyph(
    character: str, faces: Sequence[Path], side: int, random: np.random.Generator
) -> NDArray[np.uint8]:
    """Return a picture (side, side, 3) uint8 of ``character`` in one of ``faces``.

    Raises:
        StreamError: the chosen face draws nothing.
    """
    face = faces[int(random.integers(len(faces)))]
    ink = _placed_ink(character, face, side, random)[..., None]
    background = _background(side, random)
    colour = _ink_colour(background, random)
    picture = background * (1.0 - ink) + colour * ink
    picture += random.normal(0.0, random.uniform(1.0, 9.0), picture.shape).astype(np.float32)
    pixels: NDArray[np.uint8] = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return pixels


def _placed_ink(character: str, face: Path, side: int, random: np.random.Generator) -> Floats:
    """Return the ink's coverage (side, side) in [0, 1], wholly inside the picture."""
    ink = draw_ink(face, character, side * _FONT_SCALE)
    if ink is None:
        raise StreamError(
            f"{face.name} draws nothing for '{character}'; reinstall matplotlib, its fonts look damaged"
        )
    turned = ink.rotate(random.uniform(-_TURN_DEGREES, _TURN_DEGREES), Image.Resampling.BICUBIC, expand=True)
    turned = turned.crop(turned.getbbox())
    scale = side * random.uniform(*_EXTENT) / max(turned.size)
    squeeze = random.uniform(*_SQUEEZE)
    limit = side - 2  # one pixel of background on each side, whatever the squeeze
    width = min(max(round(turned.width * scale * squeeze), 1), limit)
    height = min(max(round(turned.height * scale / squeeze), 1), limit)
    small = turned.resize((width, height), Image.Resampling.BICUBIC)
    canvas = Image.new("L", (side, side))
    left = int(random.integers(1, side - width))
    top = int(random.integers(1, side - height))
    canvas.paste(small, (left, top))
    softened = canvas.filter(ImageFilter.GaussianBlur(random.uniform(0.0, 0.7) * side / 64))
    coverage: Floats = np.asarray(softened, dtype=np.float32) / 255.0
    return coverage


def _background(side: int, random: np.random.Generator) -> Floats:
    """Return a background (side, side, 3): plain, a gradient, or soft blotches."""
    base = random.uniform(0.0, 255.0, 3)
    kind = random.integers(3)
    if kind == 0:
        coarse = base[None, None, :] + np.zeros((2, 2, 3))
    elif kind == 1:
        coarse = base + random.uniform(-45.0, 45.0, (2, 2, 3))
    else:
        coarse = base + random.normal(0.0, 16.0, (6, 6, 3))
    bounded = Image.fromarray(np.clip(coarse, 0, 255).astype(np.uint8))
    return np.asarray(bounded.resize((side, side), Image.Resampling.BICUBIC), dtype=np.float32)


def _ink_colour(background: Floats, random: np.random.Generator) -> Floats:
    """Return a colour (3,) that stands out against the mean of ``background``."""
    ground = float(background.mean(axis=(0, 1)) @ _LUMINANCE)
    colour: Floats = random.uniform(0.0, 255.0, 3).astype(np.float32)
    # Towards black or white, whichever is further from the ground, as far as the contrast asks for.
    end = 255.0 if ground < 127.5 else 0.0
    for _ in range(8):
        if abs(float(colour @ _LUMINANCE) - ground) >= _LEAST_CONTRAST:
            break
        colour = (colour + end) / 2.0
    return colour
