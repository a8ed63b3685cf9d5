"""What the class statistics of the live generation hold, how large they are and how old: no numpy."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from continual_dml.errors import CorruptIndex
from continual_dml.memory.statistics_layout import PER_CLASS, PER_DIRECTION
from continual_dml.records import Generation, TaskSummary
from storage.catalog import statements
from storage.catalog.statements import RunStatement
from storage.durable import FileEntry
from storage.manifest import Manifest
from storage.proven_files import remember
from storage.summary import with_live
from storage.tensor_headers import StoredArray, read_arrays
from storage.verified_files import ADVICE, map_verified, open_published
from storage.workspace import Workspace

_FILE = re.compile(r"statistics(-\d+)?\.safetensors")


@dataclass(frozen=True, slots=True)
class CategoryStatistics:
    """What is kept of one category.

    ``images``: that it was learned from, of which ``deleted_images`` were deleted since; ``task`` and
    ``generation``: the task or addition with which it came; ``measured_task`` and ``measured_generation``:
    those that had the last images of it; ``drift_maps_since``: how many have moved it since then; ``rank``:
    directions of its own covariance, the most of any member of a cohort; ``size_bytes``: over all members.
    """

    name: str
    images: int
    deleted_images: int
    task: str
    generation: int
    measured_task: str
    measured_generation: int
    drift_maps_since: int
    rank: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class StatisticsFile:
    """One member's file: its size, and how much of it grows with no class."""

    name: str
    size_bytes: int
    shared_bytes: int


@dataclass(frozen=True, slots=True)
class KeptStatistics:
    """The statistics of the live ``generation``, which is None before the first task."""

    generation: Generation | None
    categories: tuple[CategoryStatistics, ...] = ()
    files: tuple[StatisticsFile, ...] = ()


def read_kept_statistics(workspace: Workspace) -> KeptStatistics:
    """Read what is kept of each category, from headers and columns of the statistics files.

    Raises:
        CatalogError: the catalogue cannot answer.
        CorruptIndex: a file is missing, or differs from what was published.
    """

    def read(run: RunStatement, live: Generation, manifest: Manifest) -> KeptStatistics:
        directory = workspace.generation_dir(live.generation_id)
        members = [_member(directory / name, entry) for name, entry in _files(manifest)]
        try:
            categories = _categories(members, _Known.of(run, live.generation_id))
            return KeptStatistics(live, categories, tuple(member.file() for member in members))
        except (KeyError, IndexError, ValueError) as error:
            raise CorruptIndex(
                f"the class statistics in {directory} do not fit the catalogue ({error!r}): {ADVICE}"
            ) from error

    return with_live(workspace, read) or KeptStatistics(None)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the catalogue knows.

    ``tasks``: oldest first; ``additions``: by generation; ``names`` of categories by id; ``births``: the
    generations that they came with; ``last_added``: the last that added images of them; ``deleted``: gallery
    images, by name of the category.
    """

    tasks: Sequence[TaskSummary]
    additions: Mapping[int, TaskSummary]
    names: Mapping[int, str]
    births: Mapping[int, int]
    last_added: Mapping[int, int]
    deleted: Mapping[str, int]

    @classmethod
    def of(cls, run: RunStatement, generation_id: int) -> _Known:
        removed = statements.read_deleted(run, generation_id)
        tasks, additions = statements.read_tasks_and_additions(run, generation_id)
        return cls(
            tasks,
            {one.generation_id: one for one in additions},
            statements.read_categories(run, generation_id),
            statements.read_category_births(run, generation_id),
            statements.read_last_added(run, generation_id),
            {name: images for role, name, images in removed if role == "gallery"},
        )

    def came_with(self, class_id: int, task: int) -> TaskSummary:
        """Return what brought a category, an addition or the ``task`` that its statistics name."""
        return self.additions.get(self.births[class_id], self.tasks[task])

    def last_images_with(self, class_id: int, task: int) -> TaskSummary:
        """Return what had the last images of a category, ``task`` or an addition after it."""
        learned = self.tasks[task]
        added = self.last_added.get(class_id, 0)
        return self.additions[added] if added > learned.generation_id else learned


@dataclass(frozen=True, slots=True)
class _Member:
    """The arrays of one file, as they lie there."""

    name: str
    size_bytes: int
    arrays: Mapping[str, StoredArray]

    def column(self, name: str) -> list[int]:
        return self.arrays[name].integers()

    @property
    def ranks(self) -> list[int]:
        """Directions of each class; files of earlier versions have none."""
        if "factor_ranks" not in self.arrays:
            return [0] * len(self.column("counts"))
        return self.column("factor_ranks")

    def class_bytes(self) -> list[int]:
        """Bytes of each class."""
        fixed, direction = (
            sum(self.arrays[name].row_bytes for name in names if name in self.arrays)
            for names in (PER_CLASS, PER_DIRECTION)
        )
        return [fixed + rank * direction for rank in self.ranks]

    def file(self) -> StatisticsFile:
        return StatisticsFile(self.name, self.size_bytes, self.size_bytes - sum(self.class_bytes()))


def _files(manifest: Manifest) -> Iterator[tuple[str, FileEntry]]:
    """Yield the statistics file of each member, the first member's first."""
    found = [name for name in manifest.files if _FILE.fullmatch(name)]
    for name in sorted(found, key=lambda name: (len(name), name)):
        yield name, manifest.files[name]


def _member(path: Path, entry: FileEntry) -> _Member:
    descriptor = open_published(path)
    try:
        mapped = map_verified(descriptor, str(path), entry.size, entry.sha256, afresh=False)
        if not mapped.proven:
            remember(descriptor, entry.sha256)
    finally:
        os.close(descriptor)
    return _Member(path.name, entry.size, read_arrays(mapped.content, str(path)))


def _categories(members: Sequence[_Member], known: _Known) -> tuple[CategoryStatistics, ...]:
    first = members[0]
    came = first.column("tasks")
    if "measured" in first.arrays:
        measured, moves = first.column("measured"), first.column("moves")
    else:  # as the learner takes a file of an earlier version
        measured, moves = came, [first.column("tasks_learned")[0] - 1 - task for task in came]
    ids, counts = first.column("class_ids"), first.column("counts")
    sizes = [sum(each) for each in zip(*(member.class_bytes() for member in members), strict=True)]
    ranks = [max(each) for each in zip(*(member.ranks for member in members), strict=True)]
    found = []
    for row, class_id in enumerate(ids):
        name = known.names[class_id]
        born = known.came_with(class_id, came[row])
        last = known.last_images_with(class_id, measured[row])
        found.append(
            CategoryStatistics(
                name=name,
                images=counts[row],
                deleted_images=known.deleted.get(name, 0),
                task=born.name,
                generation=born.generation_id,
                measured_task=last.name,
                measured_generation=last.generation_id,
                drift_maps_since=moves[row],
                rank=ranks[row],
                size_bytes=sizes[row],
            )
        )
    return tuple(found)
