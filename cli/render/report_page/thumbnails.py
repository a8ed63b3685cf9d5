"""Small pictures that stand inside a page, as data: addresses."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping

from markupsafe import Markup
from PIL import Image

from continual_dml.errors import UnreadableImage
from continual_dml.report_pages import Picture
from continual_dml.settings import StreamSettings
from streams.image_reader import read_many

SIDE_PIXELS = 96
QUALITY = 72


def thumbnails(pictures: Mapping[int, Picture], limits: StreamSettings) -> dict[int, Markup]:
    """Return small pictures by id; none of files that are gone or hold something else by now.

    Args:
        pictures: where they are, by id.
        limits: largest file and image to open.
    """
    wanted = list(pictures.items())
    images = read_many(
        [one.path for _, one in wanted], SIDE_PIXELS, limits, [one.content_hash for _, one in wanted]
    )
    return {
        number: _address(Image.fromarray(image.pixels))
        for (number, _), image in zip(wanted, images, strict=True)
        if not isinstance(image, UnreadableImage)
    }


def _address(image: Image.Image) -> Markup:
    content = io.BytesIO()
    # WebP would take a quarter less, and several times as long: each ingest pays for it.
    image.save(content, "JPEG", quality=QUALITY, optimize=True)
    return Markup("data:image/jpeg;base64,{}").format(base64.b64encode(content.getvalue()).decode("ascii"))
