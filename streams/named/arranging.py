"""Deals the files of a data set out to tasks and holds out queries, both by seed."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from continual_dml.records import Role
from streams.folder_scan import FoundFile
from streams.named.protocols import half_then_four
from streams.named.stream_files import FileGroup, StreamFiles, categories_of
from streams.splits import split_categories


def arrange_tasks(
    found: StreamFiles,
    *,
    asked_sizes: Sequence[int] | None,
    usual_sizes: Sequence[int],
    seed: int,
) -> tuple[FileGroup, ...]:
    """Return the tasks of a stream, in learning order.

    Args:
        found: files of the data set.
        asked_sizes: categories per task asked for: all categories are pooled, shuffled and dealt out, and
            what is left over is not used. None for the data set's own tasks.
        usual_sizes: of data that are not divided, if they make up all categories there are; else half of the
            categories come first, then four tasks.
        seed: of the shuffle of the tasks or categories. Where ``found`` keeps its order only asked sizes are
            shuffled.

    Raises:
        SettingsError: more categories asked for than there are.
    """
    if asked_sizes is None and found.divided:
        order = range(len(found.groups)) if found.keeps_order else _permutation(len(found.groups), seed)
        return tuple(found.groups[position] for position in order)
    pool = [file for group in found.groups for file in group.files]
    names = categories_of(pool)
    if asked_sizes is not None:
        parts = split_categories(names, asked_sizes, seed)
    else:
        complete = sum(usual_sizes) == len(names)
        sizes = tuple(usual_sizes) if complete else half_then_four(len(names))
        parts = _in_order(names, sizes) if found.keeps_order else split_categories(names, sizes, seed)
    return _dealt(pool, parts)


def hold_out(
    files: Sequence[FoundFile], *, fraction: float, most_per_category: int, seed: int
) -> tuple[FoundFile, ...]:
    """Return ``files``, in their order, each with a role: those that have none yet are split by category.

    Of n images round(fraction n) are queries, at least one where there are two, at most
    ``most_per_category``, and never all. Each category is drawn by itself, whatever others there are.

    >>> apples = [FoundFile(f"{n}.jpg", "apple", None) for n in range(20)]
    >>> split = hold_out(apples, fraction=0.25, most_per_category=100, seed=0)
    >>> sum(file.role is Role.QUERY for file in split)
    5
    """
    open_rows: dict[str, list[int]] = defaultdict(list)
    for row, file in enumerate(files):
        if file.role is None:
            open_rows[file.category].append(row)
    queries: set[int] = set()
    for category, rows in open_rows.items():
        count = min(max(round(fraction * len(rows)), 1), len(rows) - 1, most_per_category)
        if fraction > 0 and count > 0:
            random = np.random.default_rng([seed, zlib.crc32(category.encode())])
            queries.update(rows[position] for position in random.permutation(len(rows))[:count])
    return tuple(
        file if file.role else replace(file, role=Role.QUERY if row in queries else Role.GALLERY)
        for row, file in enumerate(files)
    )


def _permutation(count: int, seed: int) -> list[int]:
    return [int(position) for position in np.random.default_rng(seed).permutation(count)]


def _in_order(names: Sequence[str], sizes: Sequence[int]) -> list[list[str]]:
    ends = np.cumsum(sizes)
    return [list(names[end - size : end]) for size, end in zip(sizes, ends, strict=True)]


def _dealt(pool: Sequence[FoundFile], parts: Sequence[Sequence[str]]) -> tuple[FileGroup, ...]:
    by_category: dict[str, list[FoundFile]] = defaultdict(list)
    for file in pool:
        by_category[file.category].append(file)
    return tuple(
        FileGroup(f"task-{number}", tuple(file for name in part for file in by_category[name]))
        for number, part in enumerate(parts, start=1)
    )
