"""JSON documents of tasks and additions, and of what was left out of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from continual_dml.reports import SCHEMA_VERSION, describe_task

if TYPE_CHECKING:
    from continual_dml.records import QuarantinedFile, TaskSummary


def tasks_document(tasks: Sequence[TaskSummary], additions: Sequence[TaskSummary]) -> dict[str, Any]:
    """Return the tasks, and what was added besides, with what was left out of each."""
    return {
        "schema_version": SCHEMA_VERSION,
        "tasks": [
            {**describe_task(task), "quarantined": quarantine_document(task.quarantined)} for task in tasks
        ],
        "added": [describe_addition(one) for one in additions],
    }


def describe_addition(added: TaskSummary) -> dict[str, Any]:
    """Return an addition as ``cdml add`` and ``cdml tasks`` show it."""
    return {
        "id": added.task_id,
        "name": added.name,
        "source": added.source,
        "generation": added.generation_id,
        "categories": added.categories,
        "images": added.train_images,
        "quarantined": quarantine_document(added.quarantined),
    }


def quarantine_document(files: Sequence[QuarantinedFile]) -> list[dict[str, str]]:
    """Return files that were left out, with reasons."""
    return [{"path": file.path, "reason": file.reason} for file in files]
