"""Any folder of images as a stream: categories, train and test halves, or one folder per task."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from continual_dml.errors import StreamError
from continual_dml.settings import StreamSettings
from streams.folder_scan import FolderScan, scan_folder
from streams.named.stream_files import FileGroup, StreamFiles, undivided


def any_folder(root: Path, limits: StreamSettings) -> StreamFiles:
    """Return the files of one of three layouts.

    ``ROOT/<category>/*`` and ``ROOT/{train,test}/<category>/*`` are one group; a test category without
    training images is unseen. ``ROOT/<task>/<category>/*``, recognised by folders that hold nothing but
    folders, gives one task per folder, by name; each may have train and test halves.

    Raises:
        StreamError: the folder cannot be read.
        EmptyTask: it, or the folder of a task, has no category folders.
    """
    scan = scan_folder(root, limits)
    if not scan.has_given_queries and _holds_tasks(scan):
        return replace(task_folders(root, limits), keeps_order=True)
    return replace(undivided(scan.files), from_list=False)


def task_folders(root: Path, limits: StreamSettings) -> StreamFiles:
    """Return ``ROOT/<task>/<category>/*`` with one task per folder.

    Categories are named ``task/category``, so that equal names in two tasks stay apart.

    Raises:
        StreamError: the folder cannot be read.
        EmptyTask: a task has no category folders.
    """
    groups = []
    for task, folder in sorted(scan_folder(root, limits).category_folders.items()):
        files = scan_folder(folder, limits).files
        groups.append(
            FileGroup(task, tuple(replace(file, category=f"{task}/{file.category}") for file in files))
        )
    return StreamFiles(tuple(groups), divided=True, from_list=False)


def without_wrappers(root: Path) -> Path:
    """Return the first folder below ``root`` that is more than a wrapper: archives often add one or two.

    A wrapper holds one folder and nothing else, and that folder holds folders.
    """
    entries = _visible(root)
    if len(entries) != 1 or not entries[0].is_dir():
        return root
    inner = _visible(entries[0])
    return without_wrappers(entries[0]) if inner and all(entry.is_dir() for entry in inner) else root


def train_test_folder(root: Path, limits: StreamSettings) -> StreamFiles:
    """Return the files of ``ROOT/{train,test}/<category>/*``.

    Raises:
        StreamError: another layout.
    """
    scan = scan_folder(root, limits)
    if not scan.has_given_queries:
        raise StreamError(f"there are no train and test folders with category folders in {root}")
    return replace(undivided(scan.files), from_list=False)


def _holds_tasks(scan: FolderScan) -> bool:
    folders = [Path(folder) for folder in scan.category_folders.values()]
    contents = [_visible(folder) for folder in folders]
    return all(entries and all(entry.is_dir() for entry in entries) for entries in contents)


def _visible(folder: Path) -> list[Path]:
    hidden = (".", "__MACOSX")
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith(hidden))
