"""Reports as plain data: what a generation's numbers are and what they mean. Nothing here prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from continual_dml.metrics.definitions import COMPATIBILITY_DEFINITIONS, NO_MATCH_DEFINITIONS
from continual_dml.metrics.forgetting import DEFINITIONS, RecallMatrix
from continual_dml.records import Measurement, PartCount, Role, TaskSummary

SCHEMA_VERSION = 1
Rows = list[list[float | None]]
MEMBERS_DEFINITION = (
    "Members: average Recall@1, merged gallery, of each network of the cohort alone, by its own head; the "
    "other figures are those of the ensemble."
)

PRECISION_DEFINITION = (
    "Half precision: where features are computed in bf16, up to 500 queries of the task are embedded in "
    "single precision as well, and both are searched in the same gallery: Recall@1, merged gallery, by each; "
    "how many queries only single precision finds (lost) and only half precision finds (won); cosine between "
    "both vectors of a query."
)
ADDED_DEFINITION = (
    "Added: images in the gallery that were added without learning; they belong to no task and are searched "
    "with those of all tasks."
)


def build_report(
    *,
    generation: int,
    parent: Mapping[str, Any] | None,
    tasks: Sequence[TaskSummary],
    measured: Measured,
    recall_at: Sequence[int],
    seconds: Mapping[str, float],
    loss_terms: Mapping[str, float],
    method: str,
    drift: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return the report of a new generation: the parent's matrices with one more row.

    Args:
        generation: id of the new generation.
        parent: report of the generation before, or None.
        tasks: all tasks, oldest first; the last one is new.
        measured: of every task's queries against the gallery as it is now.
        recall_at: the K of Recall@K.
        seconds: time per stage of this task.
        loss_terms: last values of the loss terms.
        method: that learned the task.
        drift: how each network's drift map was chosen; empty where nothing moved.
    """
    measurements, members = measured.measurements, measured.members
    added = sum(part.items for part in measured.parts) - sum(task.train_images for task in tasks)
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
        "parts": describe_parts(measured.parts, measured.part_errors),
        **({"added_images": added} if added > 0 else {}),
        **_compatibility(generation, parent, measured),
        **({"drift": [dict(choice) for choice in drift]} if drift else {}),
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "loss_terms": dict(loss_terms),
        **({} if members is None else {"members": [dict(member) for member in members]}),
        **({} if measured.no_match is None else {"no_match": dict(measured.no_match)}),
        **({} if measured.precision is None else {"precision": dict(measured.precision)}),
        "definitions": {
            **DEFINITIONS,
            **COMPATIBILITY_DEFINITIONS,
            **NO_MATCH_DEFINITIONS,
            **({} if members is None else {"members": MEMBERS_DEFINITION}),
            **({} if measured.precision is None else {"precision": PRECISION_DEFINITION}),
            **({"added_images": ADDED_DEFINITION} if added > 0 else {}),
        },
    }


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of a generation.

    ``parts``: gallery items per birth generation and state, ``part_errors`` the estimated error of each;
    ``members``: figures of each network of a cohort alone, None where there is nothing to tell;
    ``compatibility`` and ``error_scale``: what the refresh was worth on the kept images, and how well its
    error was predicted; None where that was not measured. ``no_match``: the threshold below which a query has
    no match, and how it was found; None where there is none to tell of. ``details``: see
    ``workflows.report_details``; a file of its own. ``precision``: what computing in half precision changed;
    None where nothing was computed so.
    """

    measurements: Sequence[Measurement]
    parts: Sequence[PartCount]
    part_errors: Sequence[Mapping[str, float] | None] = ()
    members: Sequence[Mapping[str, Any]] | None = None
    compatibility: Mapping[str, Any] | None = None
    error_scale: Mapping[str, float | None] | None = None
    no_match: Mapping[str, Any] | None = None
    details: Mapping[str, Any] | None = None
    precision: Mapping[str, Any] | None = None


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


def describe_parts(
    parts: Sequence[PartCount], errors: Sequence[Mapping[str, float] | None] = ()
) -> list[dict[str, Any]]:
    """Return the gallery's parts as the report keeps them; ``errors``: mean and p90 of each, where known."""
    known = [*errors, *[None] * (len(parts) - len(errors))]
    return [
        {
            "birth_generation": part.birth_generation,
            "state": part.state.value,
            "items": part.items,
            **({} if error is None else {"estimated_error": dict(error)}),
        }
        for part, error in zip(parts, known, strict=True)
    ]


def without_last_row(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report's matrices without the row of the last task, for it to be measured again."""

    def shorter(scope: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "recall_at_k": {k: rows[:-1] for k, rows in scope["recall_at_k"].items()},
            "r_precision": scope["r_precision"][:-1],
            "map_at_r": scope["map_at_r"][:-1],
        }

    kept = {name: report[name] for name in ("compatibility",) if name in report}
    return {**shorter(report), "within_task": shorter(report["within_task"]), **kept}


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
    errors = {part["birth_generation"]: part.get("estimated_error") for part in report["parts"]}
    return {
        **report,
        "generation": generation,
        "parts": describe_parts(parts, [errors.get(part.birth_generation) for part in parts]),
        **({"deleted_since": after} if any(after.values()) else {}),
    }


def with_images(
    report: Mapping[str, Any], generation: int, part: PartCount, categories: int
) -> dict[str, Any]:
    """Return the report of a generation that is another one with further images.

    All figures stay those of the gallery that they were measured in; ``added_since`` counts what joined it
    afterwards.

    Args:
        report: of the generation before.
        generation: id of the new one.
        part: the gallery items that it adds.
        categories: how many of their categories are new.
    """
    before = report.get("added_since", {"gallery": 0, "new_categories": 0})
    return {
        **report,
        "generation": generation,
        "parts": [*report["parts"], *describe_parts([part])],
        "added_since": {
            "gallery": before["gallery"] + part.items,
            "new_categories": before["new_categories"] + categories,
        },
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


def _compatibility(generation: int, parent: Mapping[str, Any] | None, measured: Measured) -> dict[str, Any]:
    """Return the comparison of galleries on kept images, with the rows of earlier generations."""
    earlier = (parent or {}).get("compatibility")
    if measured.compatibility is None:
        return {} if earlier is None else {"compatibility": earlier}
    found = dict(measured.compatibility)
    names = ("tasks", "stale", "projected", "reembedded")
    row = {"generation": generation, **{name: found[name] for name in names}}
    rows = [*(earlier["rows"] if earlier else []), row]
    return {"compatibility": {**found, "estimated_error": measured.error_scale, "rows": rows}}
