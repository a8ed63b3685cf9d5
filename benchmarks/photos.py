"""Photos of a wanted size for the rows about images, put together from real ones.

The real photos at hand have a shorter side of 160 pixels. A larger one is a mosaic of the middles of many,
never resized, so that it has as much detail per pixel as a photo, and compressed as they are.
"""

from __future__ import annotations

import io
import math
import os
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL.JpegImagePlugin import JpegImageFile

ASPECT = 4 / 3
_TILE = 132  # at most: what remains of a photo without the edges that most of them share
PHOTOS = "grocery-160.zip"
GROCERY_TASKS = (41, 10, 10, 10, 10)
"""Categories of the five tasks that these photos are learned as."""


def shared_file(name: str) -> Path:
    """Return a file of the data that tests and benchmarks share; end the program where it is missing."""
    path = Path(os.environ.get("CDML_TEST_DATA", "../shared")) / name
    if not path.is_file():
        sys.exit(f"no {path.name} at {path.parent}: CDML_TEST_DATA names the folder of data")
    return path


def deal_photos(home: Path, sizes: Sequence[int], archive: Path | None = None, seed: int = 0) -> list[Path]:
    """Deal the categories of photos out to tasks of so many; return their folders, below ``home``.

    Args:
        home: where the photos go, as they are, and the tasks.
        sizes: categories of each task.
        archive: a ZIP file of photos; None for the shared one.
        seed: of the dealing.
    """
    from streams.splits import write_split

    with zipfile.ZipFile(archive or shared_file(f"data/{PHOTOS}")) as photos:
        photos.extractall(home / "all")
    return write_split(home / "all", home / "tasks", sizes, seed)


def make_photos(folder: Path, count: int, megapixels: float) -> None:
    """Write ``count`` different photos of about ``megapixels`` and of 4:3 into ``folder``."""
    from PIL import Image

    rows = math.ceil(math.sqrt(megapixels * 1e6 / ASPECT) / _TILE)
    columns = round(rows * ASPECT)
    tile = round(math.sqrt(megapixels * 1e6 / (rows * columns)))
    with zipfile.ZipFile(shared_file(f"data/{PHOTOS}")) as archive:
        photos = _endless(archive)
        for number in range(count):
            mosaic = Image.new("RGB", (columns * tile, rows * tile))
            for place in range(rows * columns):
                photo = next(photos)
                left, top = (photo.width - tile) // 2, (photo.height - tile) // 2
                middle = photo.crop((left, top, left + tile, top + tile))
                mosaic.paste(middle, (place % columns * tile, place // columns * tile))
            # 4:2:0 and the tables of the originals, as a camera or phone would write them
            mosaic.save(folder / f"{number:05}.jpg", qtables=photo.quantization, subsampling=2)


def _endless(archive: zipfile.ZipFile) -> Iterator[JpegImageFile]:
    """Yield the photos of ``archive``, a stride apart so that neighbours differ, again and again."""
    from PIL.JpegImagePlugin import JpegImageFile

    names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
    stride, place = 137, 0  # 137 is a prime, so that every photo comes before any comes again
    while True:
        yield JpegImageFile(io.BytesIO(archive.read(names[place % len(names)])))
        place += stride


def unpack_photos(folder: Path, categories: int, per_category: int) -> None:
    """Write real photos as ``folder/<role>/<category>/*.jpg``, role train or test, as they are.

    Args:
        folder: where to.
        categories: how many, in the order of their names.
        per_category: how many at most of each role.
    """
    with zipfile.ZipFile(shared_file(f"data/{PHOTOS}")) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        wanted = sorted({name.split("/")[1] for name in names})[:categories]
        taken: dict[tuple[str, str], int] = {}
        for name in names:
            role, category = name.split("/")[:2]
            count = taken.get((role, category), 0)
            if category in wanted and count < per_category:
                taken[role, category] = count + 1
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(name))
