"""Images that a program hands over in whatever form it has them, as the pixel squares of stored ones."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from continual_dml.errors import StreamError, UnreadableImage
from continual_dml.settings import StreamSettings
from streams.image_decoding import decode_image, square_pixels, upright_rgb
from streams.image_reader import read_image

if TYPE_CHECKING:
    import torch

GivenImage: TypeAlias = "str | os.PathLike[str] | bytes | Image.Image | NDArray[np.uint8] | torch.Tensor"
"""A path, the bytes of a file, a Pillow image, pixels (H, W, 3) or (H, W) uint8, or a tensor (C, H, W)."""


def given_square(
    image: GivenImage, side: int, limits: StreamSettings, where: str = "the image"
) -> NDArray[np.uint8]:
    """Return the square (side, side, 3) uint8 that a file with this image would be stored as.

    The same picture gives the same square in every form, but for a JPEG more than about twice as large as
    ``side``: of a file only a fraction of its resolution is decoded, so that a few pixels differ a little.

    Args:
        image: a path (a link is followed); the bytes of a file; a Pillow image of any mode, turned as its
            EXIF orientation asks for; an array (H, W, 3) or (H, W) uint8; or a tensor (C, H, W) or (H, W)
            with 1 or 3 channels, uint8 or floats within 0..1.
        side: of the square, in pixels.
        limits: largest file and image, for paths and bytes: what is decoded already is taken as it is.
        where: what to call an image without a name in errors.

    Raises:
        UnreadableImage: a file, or bytes, that are no usable image.
        StreamError: something that is no image.
    """
    if isinstance(image, str | os.PathLike):
        return read_image(os.fspath(image), side, limits, follow_symlinks=True).pixels
    if isinstance(image, bytes | bytearray | memoryview):
        return square_pixels(decode_image(bytes(image), limits, where, side), side)
    if isinstance(image, Image.Image):
        return square_pixels(_upright(image, where), side)
    if isinstance(image, np.ndarray):
        return square_pixels(_from_array(image, where), side)
    return square_pixels(_from_tensor(image, where), side)


def given_squares(images: Iterable[GivenImage], side: int, limits: StreamSettings) -> NDArray[np.uint8]:
    """Return the squares (n, side, side, 3) of several images; arguments and errors as there.

    A batch (n, H, W, 3), or of tensors (n, C, H, W), is several images.
    """
    squares = [
        given_square(image, side, limits, f"image {number} of those given")
        for number, image in enumerate(images)
    ]
    return np.stack(squares) if squares else np.empty((0, side, side, 3), dtype=np.uint8)


def _upright(image: Image.Image, where: str) -> Image.Image:
    if not image.width or not image.height:
        raise StreamError(f"{where} has no pixels: it is {image.width} x {image.height}")
    try:
        return upright_rgb(image)
    except Exception as error:  # a file behind it may be damaged, and Pillow raises almost any type then
        raise UnreadableImage(where, f"damaged image: {error or type(error).__name__}") from error


def _from_array(image: NDArray[np.generic], where: str) -> Image.Image:
    grey = image.ndim == 2
    if image.dtype != np.uint8 or not image.size or not (grey or (image.ndim == 3 and image.shape[2] == 3)):
        raise StreamError(
            f"{where} is an array of shape {image.shape} and type {image.dtype}; pixels are (H, W, 3) uint8, "
            "red first, or (H, W) uint8 in grey"
        )
    return Image.fromarray(image).convert("RGB")


def _from_tensor(image: object, where: str) -> Image.Image:
    import torch  # only whoever has a tensor has imported it

    from streams.tensor_pixels import eight_bit

    if not isinstance(image, torch.Tensor):
        raise StreamError(
            f"{where} is of type {type(image).__name__}; give a path, the bytes of an image file, a Pillow "
            "image, an array (H, W, 3) uint8 or a tensor (C, H, W)"
        )
    return Image.fromarray(eight_bit(image, where))
