"""In-Shop Clothes Retrieval of DeepFashion (Liu, Luo, Qiu, Wang, Tang 2016)."""

from __future__ import annotations

from pathlib import Path

from continual_dml.errors import StreamError
from continual_dml.records import Role
from continual_dml.settings import StreamSettings
from streams.folder_scan import FoundFile
from streams.named import protocols
from streams.named.stream_files import StreamFiles
from streams.named.text_lists import folder_with, inside, rows

_LIST = "list_eval_partition.txt"
_LIST_FOLDERS = ("Eval", "Anno")
_ROLES = {"train": Role.GALLERY, "query": Role.QUERY, "gallery": Role.GALLERY}


def zero_shot(root: Path, limits: StreamSettings) -> StreamFiles:
    """Return the items of part ``train`` to train on, and as unseen the query images, then the gallery's.

    As published, the query images are asked against the gallery alone.

    Raises:
        StreamError: another layout, or a part of another name.
    """
    del limits  # nothing is walked
    path = folder_with(root, _LIST, _LIST_FOLDERS) / _LIST
    images = root / "Img" if (root / "Img").is_dir() else root
    parts: dict[str, list[FoundFile]] = {part: [] for part in _ROLES}
    for image, item, part, *_ in rows(path, 3, skip=2):  # the number of images, then a header
        if part not in parts:
            raise StreamError(f"{path}: part '{part[:40]}' is none of {', '.join(_ROLES)}")
        parts[part].append(FoundFile(inside(images, image), item, _ROLES[part]))
    return protocols.zero_shot(parts["train"], parts["query"] + parts["gallery"])
