"""How much each earlier task lost: the bars behind the one number that is called forgetting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TaskLoss:
    """An earlier task, counted from 1: its best Recall@1 before the last task, that now, and what is lost."""

    number: int
    name: str
    best: float | None
    now: float | None
    lost: float | None


def task_losses(report: Mapping[str, Any]) -> list[TaskLoss]:
    """Return what each task but the last lost, in the order that they were learned."""
    rows = report["recall_at_k"].get("1", [])
    found = []
    for column, task in enumerate(report["tasks"][:-1]):
        known = [row[column] for row in rows[column:-1] if row[column] is not None]
        best, now = max(known, default=None), rows[-1][column] if rows else None
        lost = None if best is None or now is None else best - now
        found.append(TaskLoss(column + 1, task["name"], best, now, lost))
    return found
