"""Pictures of items, decoded and made anew: no byte of a file goes out as it is, nor where it was taken."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from continual_dml.errors import UnreadableImage
from continual_dml.records import CatalogItem, Role
from storage.workspace import Workspace
from streams.image_reader import read_image, read_picture

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIDES = (96, 192, 384, 768)
_QUALITY = 82


def file_of(workspace: Workspace, item: CatalogItem) -> str:
    """Return where the image of an item lies: of a held-out one, the workspace's own copy."""
    if item.role is Role.QUERY:
        return str(workspace.query_copy(item.content_hash))
    return item.path


def square_of_item(workspace: Workspace, item: CatalogItem) -> NDArray[np.uint8] | None:
    """Return the square (S, S, 3) of an item as the networks see it; None where its file is gone."""
    settings = workspace.settings
    try:
        return read_image(
            file_of(workspace, item),
            settings.model.stored_side_pixels,
            settings.streams,
            expected_hash=item.content_hash,
        ).pixels
    except UnreadableImage:
        return None


def picture_of_item(workspace: Workspace, item: CatalogItem, side: int, *, whole: bool) -> bytes | None:
    """Return a JPEG of an item's image; None where its file is gone, or holds something else by now.

    Args:
        workspace: that the item is of.
        item: of the catalogue.
        side: of the longer side, in pixels; a smaller image is not enlarged.
        whole: all of the image, or the square in its middle that the networks see.
    """
    try:
        picture = read_picture(
            file_of(workspace, item),
            side,
            workspace.settings.streams,
            expected_hash=item.content_hash,
            whole=whole,
        )
    except UnreadableImage:
        return None
    content = BytesIO()
    picture.save(content, "JPEG", quality=_QUALITY)
    return content.getvalue()
