"""Decide, before anything is learned or added, what of a folder is new and what is known already."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import AlreadyIngested, CatalogError, EmptyTask
from continual_dml.ports import ProgressListener, SilentListener, Store
from continual_dml.records import Generation, ImageRecord, LoadedTask, QuarantinedFile, Role
from continual_dml.strategies.sampling import can_be_compared
from continual_dml.workflows.near_copies import NOTHING_NEAR, NearCopies, find_near_copies

_SILENT = SilentListener()


@dataclass(frozen=True, slots=True, eq=False)
class TaskPlan:
    """What an ingest, or an addition, would do. Rows index into ``task.records`` and ``task.pixels``.

    ``known``: how many of the ``quarantined`` are left out because their content is catalogued already;
    ``near_copies`` are told and stay where they are.
    """

    task: LoadedTask
    gallery_rows: NDArray[np.int64]
    query_rows: NDArray[np.int64]
    quarantined: tuple[QuarantinedFile, ...]
    new_categories: tuple[str, ...]
    extended_categories: tuple[str, ...]
    trainable: bool
    known: int = 0
    near_copies: NearCopies = NOTHING_NEAR

    def records(self, rows: NDArray[np.int64]) -> list[ImageRecord]:
        """Return the records of ``rows``."""
        return [self.task.records[int(row)] for row in rows]

    @property
    def categories(self) -> tuple[str, ...]:
        """All categories of the task, new and extended, sorted."""
        return tuple(sorted({*self.new_categories, *self.extended_categories}))


def plan_task(task: LoadedTask, store: Store, listener: ProgressListener = _SILENT) -> TaskPlan:
    """Compare ``task`` with the catalogue.

    An image whose content is in the catalogue already is left out with a reason, whatever its name; the same
    category name as in an earlier task extends that category.

    Args:
        task: the folder as it was read.
        store: the workspace.
        listener: told of the progress.

    Raises:
        AlreadyIngested: nothing in the folder is new.
        EmptyTask: nothing to learn from: no usable image, or, for the first task, fewer than two categories
            with two images each.
    """
    plan = _compared(task, store, "to learn from")
    if store.head() is None and not plan.trainable:
        categories = {record.category for record in plan.records(plan.gallery_rows)}
        raise EmptyTask(
            f"{task.source}: the first task needs at least two categories with two training images each, "
            f"found {len(categories)} with {len(plan.gallery_rows)} in all; add images"
        )
    return _with_near_copies(plan, store, listener)


def plan_addition(task: LoadedTask, store: Store, listener: ProgressListener = _SILENT) -> TaskPlan:
    """Compare images that are to be added without learning with the catalogue, as :func:`plan_task` does.

    Args:
        task: the images, all of them for the gallery.
        store: the workspace.
        listener: told of the progress.

    Raises:
        CatalogError: no task is learned yet, so that there is nothing to embed images with.
        AlreadyIngested: none of the images is new.
        EmptyTask: none of the files is a usable image.
    """
    require_model(store)
    return _with_near_copies(_compared(task, store, "to add"), store, listener)


def require_model(store: Store) -> Generation:
    """Return the live generation, whose model there is to embed images with.

    Raises:
        CatalogError: no task is learned yet.
    """
    head = store.head()
    if head is None:
        raise CatalogError(
            "no task is learned yet: there is no model to embed images with; run `cdml ingest-task FOLDER` "
            "first"
        )
    return head


def _compared(task: LoadedTask, store: Store, purpose: str) -> TaskPlan:
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
        raise EmptyTask(f"no usable image {purpose} in {task.source}; {_why_empty(task)}")
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
        can_be_compared([task.records[row].category for row in gallery]),
        len(duplicates),
    )


def _with_near_copies(plan: TaskPlan, store: Store, listener: ProgressListener) -> TaskPlan:
    rows = np.sort(np.concatenate([plan.gallery_rows, plan.query_rows]))
    return replace(plan, near_copies=find_near_copies(plan.task, rows, store, listener))


def _already(known_category: str, category: str) -> str:
    if known_category == category:
        return "already in the catalogue"
    return f"already in the catalogue as '{known_category}'"


def _why_empty(task: LoadedTask) -> str:
    if task.quarantined:
        first = task.quarantined[0]
        return f"{len(task.quarantined)} files were left out, first {first.path}: {first.reason}"
    return "it needs category folders with images in them"
