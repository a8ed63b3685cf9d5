"""Class-incremental splits: one folder of categories becomes several task folders."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from continual_dml.errors import SettingsError, StreamError
from continual_dml.settings import StreamSettings
from streams.folder_scan import FolderScan, scan_folder


def split_categories(names: Iterable[str], sizes: Sequence[int], seed: int) -> list[list[str]]:
    """Deal shuffled category ``names`` out to tasks of ``sizes`` categories; what is left over is not used.

    Args:
        names: of the categories; order and repetition do not matter.
        sizes: number of categories of each task, for instance ``[41, 10, 10, 10, 10]``.
        seed: of the shuffle.

    Raises:
        SettingsError: no sizes, a size below 1, or more categories asked for than there are.
    """
    known = sorted(set(names))
    if not sizes or min(sizes) < 1:
        raise SettingsError(f"task sizes {list(sizes)} cannot work; give each task at least one category")
    if sum(sizes) > len(known):
        raise SettingsError(
            f"the tasks ask for {sum(sizes)} categories and there are {len(known)}; use smaller task sizes"
        )
    order = np.random.default_rng(seed).permutation(len(known))
    ends = np.cumsum(sizes)
    return [sorted(known[i] for i in order[end - size : end]) for size, end in zip(sizes, ends, strict=True)]


def write_split(
    folder: str | Path,
    destination: str | Path,
    sizes: Sequence[int],
    seed: int,
    limits: StreamSettings | None = None,
) -> list[Path]:
    """Write ``destination/task-1``, ``task-2``... with the files of ``folder`` dealt out by category.

    Files are hard-linked, or copied where that is impossible (symbolic links would not be followed when the
    task is read). The layout stays: a train/test folder gives train/test tasks.

    Args:
        folder: a task folder, see :func:`streams.folder_scan.scan_folder`.
        destination: made if missing; must be empty.
        sizes: number of categories of each task.
        seed: of the shuffle.
        limits: how many files may lie in ``folder``; None for the defaults.

    Returns:
        The task folders, in order.

    Raises:
        StreamError: the folder cannot be read, or the destination is not empty or cannot be written.
        SettingsError: the sizes do not fit.
    """
    scan = scan_folder(folder, limits or StreamSettings())
    parts = split_categories((file.category for file in scan.files), sizes, seed)
    target = Path(destination).absolute()
    digits = len(str(len(parts)))
    try:
        target.mkdir(parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise StreamError(f"{target} is not empty; name a new folder for the split")
        tasks = [target / f"task-{number:0{digits}d}" for number in range(1, len(parts) + 1)]
        for task, categories in zip(tasks, parts, strict=True):
            _write_task(scan, task, set(categories))
    except OSError as error:
        raise StreamError(f"cannot write the split to {target}: {error.strerror or error}") from error
    return tasks


def _write_task(scan: FolderScan, task: Path, categories: set[str]) -> None:
    if scan.has_given_queries:  # a category may stand in one half only, the layout needs both
        for half in ("train", "test"):
            for category in categories:
                (task / half / category).mkdir(parents=True)
    for file in scan.files:
        if file.category in categories:
            target = task / Path(file.path).relative_to(scan.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(file.path, target)


def _link_or_copy(source: str, target: Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target, follow_symlinks=False)
