"""Decide, before anything is trained, what of a task folder is new and what is known already."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import AlreadyIngested, EmptyTask
from continual_dml.ports import Store
from continual_dml.records import ImageRecord, LoadedTask, QuarantinedFile, Role
from continual_dml.strategies.sampling import can_be_compared


@dataclass(frozen=True, slots=True, eq=False)
class TaskPlan:
    """What an ingest would do. Rows index into ``task.records`` and ``task.pixels``."""

    task: LoadedTask
    gallery_rows: NDArray[np.int64]
    query_rows: NDArray[np.int64]
    quarantined: tuple[QuarantinedFile, ...]
    new_categories: tuple[str, ...]
    extended_categories: tuple[str, ...]
    trainable: bool

    def records(self, rows: NDArray[np.int64]) -> list[ImageRecord]:
        """Return the records of ``rows``."""
        return [self.task.records[int(row)] for row in rows]

    @property
    def categories(self) -> tuple[str, ...]:
        """All categories of the task, new and extended, sorted."""
        return tuple(sorted({*self.new_categories, *self.extended_categories}))


def plan_task(task: LoadedTask, store: Store) -> TaskPlan:
    """Compare ``task`` with the catalogue.

    An image whose content is in the catalogue already is left out with a reason, whatever its name; the same
    category name as in an earlier task extends that category.

    Raises:
        AlreadyIngested: nothing in the folder is new.
        EmptyTask: nothing to learn from: no usable image, or, for the first task, fewer than two categories
            with two images each.
    """
    known = store.find_by_hash([record.content_hash for record in task.records])
    known_categories = store.category_ids()
    fresh = [row for row, record in enumerate(task.records) if record.content_hash not in known]
    gallery = [row for row in fresh if task.records[row].role is Role.GALLERY]
    if task.records and not fresh:
        raise AlreadyIngested(
            f"all {len(task.records)} usable images of {task.source} are in the catalogue already; "
            "nothing was changed"
        )
    if not gallery:
        raise EmptyTask(f"no usable image to learn from in {task.source}; {_why_empty(task)}")
    categories = [task.records[row].category for row in gallery]
    trainable = can_be_compared(categories)
    if store.head() is None and not trainable:
        raise EmptyTask(
            f"{task.source}: the first task needs at least two categories with two training images each, "
            f"found {len(set(categories))} with {len(categories)} in all; add images"
        )
    names = {task.records[row].category for row in fresh}
    duplicates = tuple(
        QuarantinedFile(record.path, _already(known[record.content_hash].category, record.category))
        for record in task.records
        if record.content_hash in known
    )
    return TaskPlan(
        task,
        np.array(gallery, dtype=np.int64),
        np.array([row for row in fresh if task.records[row].role is Role.QUERY], dtype=np.int64),
        task.quarantined + duplicates,
        tuple(sorted(names - known_categories.keys())),
        tuple(sorted(names & known_categories.keys())),
        trainable,
    )


def _already(known_category: str, category: str) -> str:
    if known_category == category:
        return "already in the catalogue"
    return f"already in the catalogue as '{known_category}'"


def _why_empty(task: LoadedTask) -> str:
    if task.quarantined:
        first = task.quarantined[0]
        return f"{len(task.quarantined)} files were left out, first {first.path}: {first.reason}"
    return "it needs category folders with images in them"
