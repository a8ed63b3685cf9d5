"""Food-101 (Bossard, Guillaumin, Van Gool 2014)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from continual_dml.records import Role
from continual_dml.settings import StreamSettings
from streams.folder_scan import FoundFile
from streams.named.stream_files import StreamFiles, undivided
from streams.named.text_lists import folder_with, inside, rows

_LISTS = {"train.txt": Role.GALLERY, "test.txt": Role.QUERY}


def own_split(root: Path, limits: StreamSettings) -> StreamFiles:
    """Return the images of ``meta/train.txt`` to train on and of ``meta/test.txt`` to ask.

    Raises:
        StreamError: another layout.
    """
    del limits  # nothing is walked
    return undivided(_listed(folder_with(root, "meta/train.txt", ("food-101",))))


def _listed(folder: Path) -> Iterator[FoundFile]:
    """Read lines ``class/number``."""
    for name, role in _LISTS.items():
        for (image,) in rows(folder / "meta" / name, 1):
            yield FoundFile(inside(folder / "images", f"{image}.jpg"), image.partition("/")[0], role)
