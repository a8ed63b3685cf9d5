"""A text list of images, as for consumer-to-shop retrieval on DeepFashion2 (Ge et al. 2019) and its like."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from continual_dml.errors import StreamError
from continual_dml.records import Role
from continual_dml.settings import StreamSettings
from streams.folder_scan import FoundFile
from streams.named.stream_files import StreamFiles, undivided
from streams.named.text_lists import inside, rows

_NAMES = ("list.csv", "list.tsv", "list.txt")
_ROLES = {"train": Role.GALLERY, **dict.fromkeys(("query", "test", "validation", "val"), Role.QUERY)}


def listed_split(root: Path, limits: StreamSettings) -> StreamFiles:
    """Return the images of a list of ``path, category, split``, the paths beside the list.

    The split is ``train``, or ``query`` (``test``, ``validation`` and ``val`` mean the same). Query images of
    a category that has training images are its queries; the others are unseen.

    Args:
        root: the list itself, or a folder with ``list.csv``, ``list.tsv`` or ``list.txt``. Fields end at
            commas or tabs in the first two, at white space in any other file; a first line
            ``path category split`` is a header.
        limits: not needed.

    Raises:
        StreamError: no list, or a split of another name.
    """
    del limits  # nothing is walked
    found = [root] if root.is_file() else [root / name for name in _NAMES if (root / name).is_file()]
    if not found:
        raise StreamError(f"there is no {', '.join(_NAMES[:-1])} or {_NAMES[-1]} in {root}")
    return undivided(_listed(found[0]))


def _listed(path: Path) -> Iterator[FoundFile]:
    separator = {".csv": ",", ".tsv": "\t"}.get(path.suffix)
    for number, (image, category, split, *_) in enumerate(rows(path, 3, separator=separator)):
        if number == 0 and split == "split":
            continue
        if split not in _ROLES:
            raise StreamError(f"{path}: split '{split[:40]}' is none of {', '.join(_ROLES)}")
        yield FoundFile(inside(path.parent, image), category, _ROLES[split])
