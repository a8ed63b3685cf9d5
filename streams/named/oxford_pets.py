"""Oxford-IIIT Pet (Parkhi, Vedaldi, Zisserman, Jawahar 2012): 37 breeds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from continual_dml.records import Role
from continual_dml.settings import StreamSettings
from streams.folder_scan import FoundFile
from streams.named.stream_files import StreamFiles, undivided
from streams.named.text_lists import folder_with, inside, rows

_LISTS = {"trainval.txt": Role.GALLERY, "test.txt": Role.QUERY}


def own_split(root: Path, limits: StreamSettings) -> StreamFiles:
    """Return the images of ``annotations/trainval.txt`` to train on and of ``annotations/test.txt`` to ask.

    Raises:
        StreamError: another layout.
    """
    del limits  # nothing is walked
    return undivided(_listed(folder_with(root, "annotations/trainval.txt", ("oxford-iiit-pet",))))


def _listed(folder: Path) -> Iterator[FoundFile]:
    """Read lines ``image class species breed``."""
    for name, role in _LISTS.items():
        for image, breed, *_ in rows(folder / "annotations" / name, 2):
            yield FoundFile(inside(folder / "images", f"{image}.jpg"), breed, role)
