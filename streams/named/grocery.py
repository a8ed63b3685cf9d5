"""Grocery Store Dataset (Klasson, Zhang, Kjellstrom 2019): 81 fine classes with their own train and test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from continual_dml.records import Role
from continual_dml.settings import StreamSettings
from streams.folder_scan import FoundFile
from streams.named.folder_layouts import train_test_folder
from streams.named.stream_files import StreamFiles, undivided
from streams.named.text_lists import inside, rows

_LISTS = {"train.txt": Role.GALLERY, "val.txt": Role.GALLERY, "test.txt": Role.QUERY}


def own_split(root: Path, limits: StreamSettings) -> StreamFiles:
    """Return the files with their own split; validation images belong to the training part.

    Either ``{train,test}/<class>/*``, or the original folder with ``train.txt``, ``val.txt`` and ``test.txt``
    whose lines are ``path, fine label, coarse label``.

    Raises:
        StreamError: neither layout.
    """
    folder = root / "dataset" if (root / "dataset" / "train.txt").is_file() else root
    if not (folder / "train.txt").is_file():
        return train_test_folder(folder, limits)
    return undivided(_listed(folder))


def _listed(folder: Path) -> Iterator[FoundFile]:
    for name, role in _LISTS.items():
        for path, *_ in rows(folder / name, 2, separator=","):
            yield FoundFile(inside(folder, path), PurePosixPath(path).parent.name, role)
