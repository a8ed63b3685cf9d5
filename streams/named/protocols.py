"""Two protocols of the field: class-disjoint halves, and a split of the images within each class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from continual_dml.records import Role
from streams.folder_scan import FoundFile
from streams.named.stream_files import FileGroup, StreamFiles, categories_of

_WITHIN_CLASS_TENTHS = 6
_FOUR = 4


def zero_shot_halves(files: Sequence[FoundFile]) -> StreamFiles:
    """Return the first half of the classes as one task to train on, the other half as unseen.

    Args:
        files: in class order; the first ``classes // 2`` classes are trained on.
    """
    order = categories_of(files)
    first = set(order[: len(order) // 2])
    trained = [file for file in files if file.category in first]
    return zero_shot(trained, [file for file in files if file.category not in first])


def zero_shot(trained: Iterable[FoundFile], unseen: Iterable[FoundFile]) -> StreamFiles:
    """Return one task without queries and the images of classes that nobody trains on."""
    task = FileGroup("training classes", tuple(replace(file, role=Role.GALLERY) for file in trained))
    return StreamFiles((task,), divided=True, unseen=tuple(unseen))


def within_class_split(files: Iterable[FoundFile]) -> list[FoundFile]:
    """Return ``files`` with roles: of n images of a class the first floor(0.6 n) are trained on.

    On CUB-200-2011 this gives exactly the published numbers of the incremental protocol, 7,048 and 4,740 in
    all and 3,504/2,360, 875/588, 895/600, 888/597, 886/595 per task (which images are in which part was not
    published; here it is the order of ``images.txt``, the same for every seed).

    >>> cut = within_class_split([FoundFile(f"{n}.jpg", "wren", None) for n in range(58)])
    >>> sum(file.role is Role.GALLERY for file in cut)  # floor(34.8)
    34
    """
    listed = list(files)
    counts: dict[str, int] = {}
    for file in listed:
        counts[file.category] = counts.get(file.category, 0) + 1
    taken = dict.fromkeys(counts, 0)
    result = []
    for file in listed:
        trains = taken[file.category] < counts[file.category] * _WITHIN_CLASS_TENTHS // 10
        taken[file.category] += 1
        result.append(replace(file, role=Role.GALLERY if trains else Role.QUERY))
    return result


def half_then_four(categories: int) -> tuple[int, ...]:
    """Return the usual task sizes: half of the classes first, the rest as four equal tasks.

    What four does not divide goes to the first task. With too few classes for four tasks of two, the halves
    make two tasks; fewer than four classes make one.

    >>> half_then_four(81), half_then_four(196), half_then_four(6), half_then_four(3)
    ((41, 10, 10, 10, 10), (100, 24, 24, 24, 24), (3, 3), (3,))
    """
    later = categories // 2 // _FOUR
    if later >= 2:
        return (categories - _FOUR * later, *(later,) * _FOUR)
    if categories >= _FOUR:
        return (categories - categories // 2, categories // 2)
    return (categories,)
