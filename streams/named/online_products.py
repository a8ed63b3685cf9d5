"""Stanford Online Products (Song, Xiang, Jegelka, Savarese 2016)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from continual_dml.settings import StreamSettings
from streams.folder_scan import FoundFile
from streams.named import protocols
from streams.named.stream_files import StreamFiles
from streams.named.text_lists import folder_with, inside, rows


def zero_shot(root: Path, limits: StreamSettings) -> StreamFiles:
    """Return the products of ``Ebay_train.txt`` to train on and those of ``Ebay_test.txt`` as unseen.

    Raises:
        StreamError: another layout.
    """
    del limits  # nothing is walked
    folder = folder_with(root, "Ebay_train.txt", ("Stanford_Online_Products",))
    return protocols.zero_shot(_listed(folder, "Ebay_train.txt"), _listed(folder, "Ebay_test.txt"))


def _listed(folder: Path, name: str) -> Iterator[FoundFile]:
    """Read lines ``image_id class_id super_class_id path`` below a header."""
    for _, product, _, path, *_ in rows(folder / name, 4, skip=1):
        yield FoundFile(inside(folder, path), product, None)
