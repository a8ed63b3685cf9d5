"""Reads image files in threads; each file is read once, and hashed and decoded from the same bytes."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from continual_dml.errors import UnreadableImage
from continual_dml.settings import StreamSettings
from streams.image_decoding import FORMATS, decode_image, square_pixels, too_many_bytes

_BLOCK = 256  # images in flight at a time; bounds the memory, whatever the length of the list
_MOST_THREADS = 32
_SMALL_BYTES = 4096
"""Up to here (about 100 pixels a side), threads wait for each other longer than it takes to decode."""
_PLAIN_WORDS = {
    errno.ELOOP: "symbolic link, not followed",
    errno.ENOENT: "no such file",
    errno.ENOTDIR: "no such file",
    errno.EACCES: "no permission to read it",
}


@dataclass(frozen=True, slots=True, eq=False)
class ReadImage:
    """One decoded file: the SHA-256 of its bytes, their number, and its square ``pixels`` (S, S, 3) uint8."""

    content_hash: str
    size_bytes: int
    pixels: NDArray[np.uint8]


def read_image(
    path: str,
    side: int,
    limits: StreamSettings,
    *,
    expected_hash: str | None = None,
    follow_symlinks: bool = False,
    formats: Sequence[str] = FORMATS,
) -> ReadImage:
    """Read, hash and decode one file.

    Args:
        path: of the file.
        side: of the pixel square.
        limits: largest file and image.
        expected_hash: SHA-256 that the content must have, or None for any.
        follow_symlinks: True only for a path that the user typed himself, for instance a query image.
        formats: that are tried, see :func:`streams.image_decoding.decode_image`.

    Raises:
        UnreadableImage: missing, a link, no regular file, too large, other content, or no usable image.
    """
    data = _read_bytes(path, limits, follow_symlinks)
    content_hash = hashlib.sha256(data).hexdigest()
    if expected_hash is not None and content_hash != expected_hash:
        raise UnreadableImage(path, "its content has changed")
    image = decode_image(data, limits, path, side, formats)
    return ReadImage(content_hash, len(data), square_pixels(image, side))


def read_picture(
    path: str, side: int, limits: StreamSettings, *, expected_hash: str, whole: bool
) -> Image.Image:
    """Read one file as an RGB picture for people, no side of it longer than ``side``, and never enlarged.

    Args:
        path: of the file; a link is not followed.
        side: in pixels.
        limits: largest file and image.
        expected_hash: SHA-256 that the content must have.
        whole: all of the image, or the square in its middle that networks see.

    Raises:
        UnreadableImage: as :func:`read_image`.
    """
    data = _read_bytes(path, limits, follow_symlinks=False)
    if hashlib.sha256(data).hexdigest() != expected_hash:
        raise UnreadableImage(path, "its content has changed")
    image = decode_image(data, limits, path, side)
    if not whole:
        short = min(image.size)
        left, top = (image.width - short) // 2, (image.height - short) // 2
        image = image.crop((left, top, left + short, top + short))
    image.thumbnail((side, side), reducing_gap=2.0)
    return image


def read_many(
    paths: Sequence[str],
    side: int,
    limits: StreamSettings,
    expected_hashes: Sequence[str] | None = None,
    formats: Sequence[str] = FORMATS,
) -> Iterator[ReadImage | UnreadableImage]:
    """Yield for each of ``paths``, in order, the image or the error that says why there is none."""

    def read(position: int) -> ReadImage | UnreadableImage:
        expected = expected_hashes[position] if expected_hashes is not None else None
        try:
            return read_image(paths[position], side, limits, expected_hash=expected, formats=formats)
        except UnreadableImage as error:
            return error

    with ThreadPoolExecutor(_thread_count(limits), thread_name_prefix="decode") as pool:
        for start in range(0, len(paths), _BLOCK):
            block = range(start, min(start + _BLOCK, len(paths)))
            waiting = [pool.submit(read, place) if _is_large(paths[place]) else None for place in block]
            for position, image in zip(block, waiting, strict=True):
                yield read(position) if image is None else image.result()


def content_of(path: str, limits: StreamSettings) -> tuple[str, int]:
    """Return the SHA-256 of a file and its size in bytes, without decoding it; no link is followed.

    Raises:
        UnreadableImage: missing, a link, no regular file, or too large.
    """
    data = _read_bytes(path, limits, follow_symlinks=False)
    return hashlib.sha256(data).hexdigest(), len(data)


class ThreadedImageReader:
    """The ``ImageReader`` port over files; Pillow lets go of the interpreter lock, so threads are enough."""

    def __init__(self, side_pixels: int, limits: StreamSettings) -> None:
        self._side = side_pixels
        self._limits = limits

    def read(
        self, paths: Sequence[str], expected_hashes: Sequence[str] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return pixels (n, S, S, 3) uint8 and the positions (n,) in ``paths`` they belong to.

        Files that cannot be read, or whose SHA-256 differs from the expected one, are left out.
        """
        tried = _in_folders_that_are_there(paths)
        hashes = None if expected_hashes is None else [expected_hashes[position] for position in tried]
        images = read_many([paths[position] for position in tried], self._side, self._limits, hashes)
        pixels = np.empty((len(tried), self._side, self._side, 3), dtype=np.uint8)
        positions: list[int] = []
        for position, image in zip(tried, images, strict=True):
            if isinstance(image, ReadImage):
                pixels[len(positions)] = image.pixels
                positions.append(position)
        return pixels[: len(positions)], np.array(positions, dtype=np.int64)


def _in_folders_that_are_there(paths: Sequence[str]) -> list[int]:
    """Return the positions of paths whose folder exists: if it is gone, one look serves all its files."""
    folders = [os.path.dirname(path) for path in paths]  # noqa: PTH120 - a tenth of what Path takes
    there = {folder: os.path.isdir(folder or ".") for folder in set(folders)}  # noqa: PTH112
    return [position for position, folder in enumerate(folders) if there[folder]]


def _thread_count(limits: StreamSettings) -> int:
    return limits.decode_threads or min(os.cpu_count() or 1, _MOST_THREADS)


def _is_large(path: str) -> bool:
    try:
        return os.stat(path).st_size > _SMALL_BYTES  # noqa: PTH116 - once for each file
    except OSError:
        return False  # reading it says why


def _read_bytes(path: str, limits: StreamSettings, follow_symlinks: bool) -> bytes:
    # O_NONBLOCK: opening a named pipe must not wait for its writer.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow_symlinks else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableImage(path, "not a regular file")
            if status.st_size > limits.max_file_bytes:
                raise UnreadableImage(path, too_many_bytes(status.st_size, limits))
            data = file.read(status.st_size + 1)
    except OSError as error:
        reason = _PLAIN_WORDS.get(error.errno or 0) or f"cannot be read: {error.strerror or error}"
        raise UnreadableImage(path, reason) from error
    if len(data) != status.st_size:
        raise UnreadableImage(path, "changed while it was read")
    return data
