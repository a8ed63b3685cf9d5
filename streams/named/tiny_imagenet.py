"""Tiny ImageNet (Le, Yang 2015; Stanford CS231n): 200 classes of 64 px photos."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from continual_dml.errors import StreamError
from continual_dml.records import Role
from continual_dml.settings import StreamSettings
from streams.folder_scan import FoundFile, scan_folder
from streams.named.stream_files import StreamFiles, undivided
from streams.named.text_lists import folder_with, inside, rows


def own_split(root: Path, limits: StreamSettings) -> StreamFiles:
    """Return ``train/<class>/images/*`` to train on and the images of ``val`` to ask.

    Raises:
        StreamError: another layout.
    """
    folder = folder_with(root, "val/val_annotations.txt", ("tiny-imagenet-200",))
    if not (folder / "train").is_dir():
        raise StreamError(f"there is no train in {folder}")
    return undivided([*_trained(folder / "train", limits), *_asked(folder / "val")])


def _trained(folder: Path, limits: StreamSettings) -> Iterator[FoundFile]:
    for file in scan_folder(folder, limits).files:
        if Path(file.path).suffix.lower() != ".txt":  # each class has its own list of boxes
            yield FoundFile(file.path, file.category, Role.GALLERY)


def _asked(folder: Path) -> Iterator[FoundFile]:
    """Read lines ``image class x0 y0 x1 y1``."""
    for image, category, *_ in rows(folder / "val_annotations.txt", 2):
        yield FoundFile(inside(folder / "images", image), category, Role.QUERY)
