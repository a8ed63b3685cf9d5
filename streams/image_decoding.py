"""From the bytes of an untrusted file to an upright RGB image and a pixel square."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from continual_dml.errors import UnreadableImage
from continual_dml.settings import StreamSettings
from streams.colour_modes import to_rgb
from streams.decoding_cost import check_cost

# Nothing else is tried: each further format is one more parser for hostile bytes.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")

# How much larger than needed a photo is decoded or reduced before the final, antialiased resampling.
_REDUCING_GAP = 2.0

_UNSAFE = "more pixels than is safe to decode"

_ORIENTATION_TAG = 0x0112
# EXIF 2.3, tag Orientation: what has to be done to see the image upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# catch_warnings would not be safe in threads, so these rules are made once for the process. Damaged metadata,
# which the second is about, is no reason to leave out a photo and nothing a user could act on.
warnings.simplefilter("error", Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.TiffImagePlugin")
# What Pillow would otherwise write to stderr about a damaged file is in the reason already.
logging.getLogger("PIL").addHandler(logging.NullHandler())


def decode_image(
    data: bytes,
    limits: StreamSettings,
    path: str,
    side: int | None = None,
    formats: Sequence[str] = FORMATS,
) -> Image.Image:
    """Decode the first frame of ``data`` to upright RGB.

    Args:
        data: the whole file.
        limits: largest file and largest declared size; Pillow's own bomb limit always holds as well.
        path: named in the error, never opened.
        side: side of the square that is wanted, in pixels. A JPEG much larger than that is decoded at 1/2,
            1/4 or 1/8 of its size, so that the shorter side of the result is still at least twice ``side``.
        formats: Pillow's names of the formats that are tried; others than the usual ones only where a known
            data set needs them.

    Raises:
        UnreadableImage: empty, too large, too dear to decode, truncated, damaged, or none of the formats.
    """
    if not data:
        raise UnreadableImage(path, "empty file")
    if len(data) > limits.max_file_bytes:
        raise UnreadableImage(path, too_many_bytes(len(data), limits))
    try:
        with Image.open(BytesIO(data), formats=tuple(formats)) as image:
            _check_size(image, limits, path)
            check_cost(image, data, limits, path)
            if side is not None:
                wanted = int(side * _REDUCING_GAP)
                image.draft(None, (wanted, wanted))  # does nothing unless the format can decode to a fraction
            return upright_rgb(image)
    except UnreadableImage:
        raise
    except Exception as error:  # on hostile bytes Pillow's parsers raise almost any type
        raise UnreadableImage(path, _reason(error, formats)) from error


def upright_rgb(image: Image.Image) -> Image.Image:
    """Return ``image`` as 8-bit RGB, turned as its EXIF orientation asks for.

    Raises:
        Exception: of almost any type, where the image was opened and its file is damaged.
    """
    image.load()
    turn = _turn_upright(image)
    rgb = to_rgb(image)
    return rgb if turn is None else rgb.transpose(turn)


def square_pixels(image: Image.Image, side: int) -> NDArray[np.uint8]:
    """Return the centre square of an RGB image as (side, side, 3) uint8, resized in one antialiased step."""
    width, height = image.size
    short = min(width, height)
    left, top = (width - short) // 2, (height - short) // 2
    square = image.crop((left, top, left + short, top + short))
    if short == side or short >= 2 * _REDUCING_GAP * side:  # from there on Pillow takes means of blocks first
        square = square.resize((side, side), Image.Resampling.BICUBIC, reducing_gap=_REDUCING_GAP)
        return np.array(square, dtype=np.uint8)  # a copy that may be written to
    from streams.square_resizing import resized_square  # it takes torch, which not all that decodes needs

    return resized_square(np.array(square, dtype=np.uint8), side)


def too_many_bytes(size: int, limits: StreamSettings) -> str:
    """Return the quarantine reason of a file of ``size`` bytes."""
    return f"file of {size:,} bytes, larger than the limit of {limits.max_file_bytes:,}"


def _check_size(image: Image.Image, limits: StreamSettings, path: str) -> None:
    width, height = image.size
    if width * height > (Image.MAX_IMAGE_PIXELS or 0):  # whatever filters of warnings the process has by now
        raise UnreadableImage(path, _UNSAFE)
    if width * height > limits.max_pixels:
        raise UnreadableImage(
            path, f"{width} x {height} pixels, more than the limit of {limits.max_pixels:,} in all"
        )


def _turn_upright(image: Image.Image) -> Image.Transpose | None:
    """Return what the EXIF orientation of a loaded image asks for (TIFFs are turned by loading, untagged)."""
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG)
    except Exception:  # noqa: BLE001 - a photo with damaged metadata is still a photo
        return None
    return _UPRIGHT.get(orientation) if isinstance(orientation, int) else None


def _reason(error: Exception, formats: Sequence[str]) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"not a {', '.join(formats[:-1])} or {formats[-1]} image"
    if isinstance(error, (Image.DecompressionBombWarning, Image.DecompressionBombError)):
        return _UNSAFE
    detail = " ".join(str(error).split())[:200]
    return f"damaged image: {detail or type(error).__name__}"
