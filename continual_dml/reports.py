"""Reports as plain data: what a generation's numbers are and what they mean. Nothing here prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from continual_dml.metrics.forgetting import DEFINITIONS, RecallMatrix
from continual_dml.records import Measurement, PartCount, Role, TaskSummary

SCHEMA_VERSION = 1
Rows = list[list[float | None]]
MEMBERS_DEFINITION = (
    "Members: average Recall@1, merged gallery, of each network of the cohort alone, by its own head; the "
    "other figures are those of the ensemble."
)


def build_report(
    *,
    generation: int,
    parent: Mapping[str, Any] | None,
    tasks: Sequence[TaskSummary],
    measurements: Sequence[Measurement],
    parts: Sequence[PartCount],
    recall_at: Sequence[int],
    seconds: Mapping[str, float],
    loss_terms: Mapping[str, float],
    method: str,
    members: Sequence[Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return the report of a new generation: the parent's matrices with one more row.

    Args:
        generation: id of the new generation.
        parent: report of the generation before, or None.
        tasks: all tasks, oldest first; the last one is new.
        measurements: of every task's queries against the gallery as it is now.
        parts: gallery items per birth generation and state.
        recall_at: the K of Recall@K.
        seconds: time per stage of this task.
        loss_terms: last values of the loss terms.
        method: that learned the task.
        members: figures of each network of a cohort alone, None where there is nothing to tell.
    """
    task_ids = [task.task_id for task in tasks]
    merged = _matrices(parent, measurements, "merged", task_ids, recall_at)
    within = _matrices((parent or {}).get("within_task"), measurements, "within", task_ids, recall_at)
    return {
        "schema_version": SCHEMA_VERSION,
        "generation": generation,
        "method": method,
        "tasks": [describe_task(task) for task in tasks],
        **merged,
        "summary": _summaries(merged["recall_at_k"]),
        "within_task": {**within, "summary": _summaries(within["recall_at_k"])},
        "queries": _queries(measurements),
        "parts": describe_parts(parts),
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "loss_terms": dict(loss_terms),
        **({} if members is None else {"members": [dict(member) for member in members]}),
        "definitions": {**DEFINITIONS, **({} if members is None else {"members": MEMBERS_DEFINITION})},
    }


def describe_task(task: TaskSummary) -> dict[str, Any]:
    """Return a task as the report and ``cdml tasks`` show it; ``quarantined`` is a count."""
    return {
        "id": task.task_id,
        "name": task.name,
        "source": task.source,
        "method": task.method,
        "generation": task.generation_id,
        "categories": task.categories,
        "train_images": task.train_images,
        "query_images": task.query_images,
        "quarantined": len(task.quarantined),
    }


def describe_parts(parts: Sequence[PartCount]) -> list[dict[str, Any]]:
    """Return the gallery's parts as the report keeps them."""
    return [{"birth_generation": p.birth_generation, "state": p.state.value, "items": p.items} for p in parts]


def without_images(
    report: Mapping[str, Any], generation: int, parts: Sequence[PartCount], removed: Mapping[str, int]
) -> dict[str, Any]:
    """Return the report of a generation that is another one without some images.

    All figures stay those of the gallery that they were measured in; ``deleted_since`` counts what was taken
    out of it afterwards.

    Args:
        report: of the generation before.
        generation: id of the new one.
        parts: gallery items that are left.
        removed: how many images of each role are gone.
    """
    before = report.get("deleted_since", {})
    after = {role.value: before.get(role.value, 0) + removed.get(role.value, 0) for role in Role}
    return {
        **report,
        "generation": generation,
        "parts": describe_parts(parts),
        **({"deleted_since": after} if any(after.values()) else {}),
    }


def _matrices(
    parent: Mapping[str, Any] | None,
    measurements: Sequence[Measurement],
    scope: str,
    task_ids: Sequence[int],
    recall_at: Sequence[int],
) -> dict[str, Any]:
    values = {(m.metric, m.k, m.task_id): m.value for m in measurements if m.scope == scope}

    def row(metric: str, k: int) -> list[float | None]:
        return [values.get((metric, k, task_id)) for task_id in task_ids]

    earlier = parent or {"recall_at_k": {}, "r_precision": [], "map_at_r": []}
    return {
        "recall_at_k": {
            str(k): [*_rows(earlier["recall_at_k"].get(str(k)), len(task_ids)), row("recall", k)]
            for k in recall_at
        },
        "r_precision": [*earlier["r_precision"], row("r_precision", 0)],
        "map_at_r": [*earlier["map_at_r"], row("map_at_r", 0)],
    }


def _rows(earlier: Rows | None, tasks: int) -> Rows:
    """Return the earlier rows, or rows of unknowns where this K was not measured before."""
    return earlier if earlier is not None else [[None] * (i + 1) for i in range(tasks - 1)]


def _summaries(recall_at_k: Mapping[str, Rows]) -> dict[str, dict[str, float | None]]:
    summaries = {}
    for k, rows in recall_at_k.items():
        matrix = RecallMatrix(rows)
        summaries[k] = {
            "average": matrix.average(),
            "forgetting": matrix.forgetting(),
            "backward_transfer": matrix.backward_transfer(),
        }
    return summaries


def _queries(measurements: Sequence[Measurement]) -> dict[str, dict[str, int]]:
    return {
        str(m.task_id): {"measured": m.queries, "without_positive": m.without_positive}
        for m in measurements
        if m.metric == "queries" and m.scope == "merged"
    }
