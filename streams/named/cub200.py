"""Caltech-UCSD Birds-200-2011 (Wah, Branson, Welinder, Perona, Belongie 2011)."""

from __future__ import annotations

from pathlib import Path

from continual_dml.errors import StreamError
from continual_dml.settings import StreamSettings
from streams.folder_scan import FoundFile
from streams.named.protocols import within_class_split, zero_shot_halves
from streams.named.stream_files import StreamFiles, undivided
from streams.named.text_lists import folder_with, inside, rows, whole_number


def zero_shot(root: Path, limits: StreamSettings) -> StreamFiles:
    """Return classes 1-100 to train on and 101-200 as unseen.

    Raises:
        StreamError: another layout.
    """
    del limits  # nothing is walked
    return zero_shot_halves(_birds(root))


def incremental(root: Path, limits: StreamSettings) -> StreamFiles:
    """Return all classes, in their order, with the split within each class.

    Raises:
        StreamError: another layout.
    """
    del limits  # nothing is walked
    return undivided(within_class_split(_birds(root)), keeps_order=True)


def _birds(root: Path) -> list[FoundFile]:
    """Return all images by class id, then in the order of ``images.txt``."""
    folder = folder_with(root, "images.txt", ("CUB_200_2011",))
    names = {
        whole_number(number, folder / "classes.txt"): name
        for number, name, *_ in rows(folder / "classes.txt", 2)
    }
    classes = {
        image: whole_number(number, folder / "image_class_labels.txt")
        for image, number, *_ in rows(folder / "image_class_labels.txt", 2)
    }
    listed = []
    for image, path, *_ in rows(folder / "images.txt", 2):
        number = classes.get(image)
        if number is None or number not in names:
            raise StreamError(f"{folder}: image {image} of images.txt has no class")
        listed.append((number, FoundFile(inside(folder / "images", path), names[number], None)))
    return [file for _, file in sorted(listed, key=lambda item: item[0])]
