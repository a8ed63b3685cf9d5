"""From task folders that were read to the experiences that a learner trains on and is asked with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from continual_dml.errors import StreamError
from continual_dml.records import Experience, LabelledImages, LoadedTask, Role


def category_ids(tasks: Sequence[LoadedTask]) -> dict[str, int]:
    """Return an id for every category of ``tasks``, counted from 0 in order of first appearance.

    A name that comes back in a later task keeps its id: it extends the category.
    """
    ids: dict[str, int] = {}
    for task in tasks:
        for record in task.records:
            ids.setdefault(record.category, len(ids))
    return ids


def experience_from_task(task: LoadedTask, ids: Mapping[str, int]) -> Experience:
    """Return ``task`` as an experience: gallery images are trained on, query images are asked with.

    Args:
        task: with its pixel squares.
        ids: category name to global id.

    Raises:
        StreamError: a category of the task has no id.
    """
    missing = sorted({record.category for record in task.records} - ids.keys())
    if missing:
        raise StreamError(
            f"task '{task.name}': category '{missing[0]}' has no id; "
            "make the ids from all tasks of the stream, with category_ids(tasks)"
        )
    return Experience(task.name, _images(task, ids, Role.GALLERY), _images(task, ids, Role.QUERY))


def stream_from_tasks(tasks: Sequence[LoadedTask]) -> list[Experience]:
    """Return the experiences of ``tasks``, in order, with :func:`category_ids` as labels."""
    ids = category_ids(tasks)
    return [experience_from_task(task, ids) for task in tasks]


def _images(task: LoadedTask, ids: Mapping[str, int], role: Role) -> LabelledImages:
    rows = [row for row, record in enumerate(task.records) if record.role is role]
    labels = np.array([ids[task.records[row].category] for row in rows], dtype=np.int64)
    return LabelledImages(task.pixels[rows], labels)
