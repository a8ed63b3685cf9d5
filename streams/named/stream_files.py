"""The image files of a stream before they are decoded: who belongs to which task, category and role."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from continual_dml.records import Role
from streams.folder_scan import FoundFile
from streams.image_decoding import FORMATS


@dataclass(frozen=True, slots=True)
class FileGroup:
    """Files that belong together, categories in class order; ``name`` becomes the task's name."""

    name: str
    files: tuple[FoundFile, ...]


@dataclass(frozen=True, slots=True)
class StreamFiles:
    """What a data set's reader found.

    ``groups`` are the tasks where ``divided``, else one group that is still to be dealt out to tasks.
    ``keeps_order`` says that their order, or that of the categories, means something: the seed leaves it.
    ``unseen`` are files of categories that no task trains on; where some of them have the role of a query and
    some that of the gallery, the ones are asked against the others. ``from_list`` says that a published list
    named the files: a missing one is then a fault, and files of equal content stay. ``formats`` are Pillow's
    names.
    """

    groups: tuple[FileGroup, ...]
    divided: bool
    keeps_order: bool = False
    unseen: tuple[FoundFile, ...] = ()
    from_list: bool = True
    formats: tuple[str, ...] = FORMATS


def categories_of(files: Iterable[FoundFile]) -> list[str]:
    """Return the categories of ``files`` in order of first appearance."""
    return list(dict.fromkeys(file.category for file in files))


def undivided(files: Iterable[FoundFile], *, keeps_order: bool = False) -> StreamFiles:
    """Return listed ``files`` as one group to be dealt out; categories without a training image are unseen.

    >>> train = FoundFile("1.jpg", "apple", Role.GALLERY)
    >>> found = undivided([train, FoundFile("2.jpg", "pear", Role.QUERY)])
    >>> found.groups[0].files == (train,), [file.category for file in found.unseen]
    (True, ['pear'])
    """
    everything = list(files)
    trained = {file.category for file in everything if file.role is not Role.QUERY}
    learned = tuple(file for file in everything if file.category in trained)
    unseen = tuple(file for file in everything if file.category not in trained)
    return StreamFiles((FileGroup("all", learned),), divided=False, keeps_order=keeps_order, unseen=unseen)
