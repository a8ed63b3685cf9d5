"""Finds files of few bytes whose decoding would take hours or gigabytes, although they declare few pixels."""

from __future__ import annotations

import re
from itertools import islice

from PIL import Image

from continual_dml.errors import UnreadableImage
from continual_dml.settings import StreamSettings

# A camera writes about ten scans, a library that does its best some dozens. Each further one costs a pass
# over all coefficients and may be written in 60 bytes, so that a file within the limits takes hours.
MOST_SCANS = 100

_SCAN, _END = 0xDA, 0xD9
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_SCAN_BYTES = re.compile(rb"\xff\xda")
_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_TILE_WIDTH, _TILE_LENGTH = 322, 323  # TIFF 6.0, section 15


def check_cost(image: Image.Image, data: bytes, limits: StreamSettings, path: str) -> None:
    """Refuse an opened ``image`` that costs far more than its declared size says.

    Args:
        image: opened, not loaded.
        data: the whole file that it was opened from.
        limits: a tile is held to the limit of a whole picture.
        path: named in the error.

    Raises:
        UnreadableImage: a JPEG of more than 100 scans, or a TIFF with tiles larger than a picture may be.
    """
    if image.format in ("JPEG", "MPO") and _seems_to_have_many_scans(data) and _scans(data) > MOST_SCANS:
        raise UnreadableImage(path, f"a JPEG of more than {MOST_SCANS} scans, which would take too long")
    tags = getattr(image, "tag_v2", {})
    width, length = tags.get(_TILE_WIDTH, 0), tags.get(_TILE_LENGTH, 0)
    if isinstance(width, int) and isinstance(length, int) and width * length > limits.max_pixels:
        raise UnreadableImage(
            path, f"tiles of {width} x {length} pixels, more than the limit of {limits.max_pixels:,} in all"
        )


def _seems_to_have_many_scans(data: bytes) -> bool:
    """Say whether there are enough of the bytes that begin a scan; others hold them by chance."""
    found = _SCAN_BYTES.finditer(data)  # three times as fast as counting them
    return next(islice(found, MOST_SCANS, None), None) is not None


def _scans(data: bytes) -> int:
    """Count the scans of the first picture of a JPEG, up to one more than are allowed.

    Its segments are passed over whole: metadata and what follows the picture, a film for instance, hold the
    same bytes by chance.
    """
    count, place = 0, 2
    while count <= MOST_SCANS and (found := _MARKER.search(data, place)):
        kind, place = found[1][0], found.end()
        if kind == _END:
            break
        count += kind == _SCAN
        if kind not in _WITHOUT_LENGTH:
            place += int.from_bytes(data[place : place + 2], "big")
    return count
