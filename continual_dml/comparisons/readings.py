"""The numbers of one run read through one head from one kind of gallery, each under a flat name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from continual_dml.comparisons.documents import RunDocument
from continual_dml.errors import CdmlError
from continual_dml.metrics.forgetting import RecallMatrix

Matrix = tuple[tuple[float | None, ...], ...]
_SCOPES = {"merged": "", "within": "within_", "group": "group_"}


@dataclass(frozen=True, slots=True)
class Reading:
    """One readout of one run.

    ``gallery`` is ``reembedded`` (old items computed anew from their images) or ``projected`` (carried
    forward by the drift map, no old image opened). ``matrix`` is Recall@1 in the merged gallery.
    ``measures`` maps names such as ``recall_at_1``, ``within_forgetting`` or ``seconds_total`` to numbers,
    None where nothing was measured.
    """

    label: str
    method: str
    replays: bool
    seed: int
    head: str
    gallery: str
    matrix: Matrix
    measures: Mapping[str, float | None]


def readings(runs: Sequence[RunDocument]) -> list[Reading]:
    """Return every readout of every run, in the order given.

    Raises:
        CdmlError: a matrix that is no lower triangle, or that ends before the last task.
    """
    return [_reading(run, readout) for run in runs for readout in run["readouts"]]


def _reading(run: RunDocument, readout: Mapping[str, Any]) -> Reading:
    tasks, matrix = len(run["stream"]["tasks"]), _matrix(readout)
    if len(matrix) not in (0, tasks):
        raise CdmlError(
            f"the run of '{run['label']}' with seed {run['seed']} holds {len(matrix)} of {tasks} tasks; "
            "run it again"
        )
    return Reading(
        label=run["label"],
        method=run["method"],
        replays=bool(run["replays"]),
        seed=run["seed"],
        head=readout["head"],
        gallery=readout["gallery"],
        matrix=matrix,
        measures={**_retrieval(readout), **_best_epoch(run, readout), **_cost(run), **_members(run)},
    )


def _matrix(readout: Mapping[str, Any]) -> Matrix:
    """Return Recall@1 in the merged gallery; no rows where only unseen categories were asked about."""
    return _known_rows((readout.get("recall") or {}).get("merged", {}).get("1", []))


def _retrieval(readout: Mapping[str, Any]) -> dict[str, float | None]:
    measures: dict[str, float | None] = {}
    for scope, prefix in _SCOPES.items():
        recall = (readout.get("recall") or {}).get(scope, {})
        for k, rows in recall.items():
            measures[f"{prefix}recall_at_{k}"] = RecallMatrix(_known_rows(rows)).average()
        precision = RecallMatrix(_known_rows((readout.get("map_at_r") or {}).get(scope, [])))
        measures[f"{prefix}map_at_r"] = precision.average()
        matrix = RecallMatrix(_known_rows(recall.get("1", [])))
        measures[f"{prefix}forgetting"] = matrix.forgetting()
        measures[f"{prefix}backward_transfer"] = matrix.backward_transfer()
    for k, stages in (readout.get("unseen_recall") or {}).items():
        measures[f"unseen_recall_at_{k}"] = mean_of_known(stages)
    measures["nmi"] = mean_of_known(readout.get("nmi") or [])
    return measures


def _best_epoch(run: RunDocument, readout: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the best test epoch's Recall@1 of unseen categories, which was measured by the trained head."""
    its_own = readout["head"] == "trained" and readout["gallery"] == "reembedded"
    return {"best_test_epoch": run.get("best_test_epoch")} if its_own else {}


def _cost(run: RunDocument) -> dict[str, float | None]:
    seconds, kept = run["seconds"], run["bytes_kept"]
    return {
        "seconds_learn": _sum(seconds.get("learn")),
        "seconds_measure": _sum(seconds.get("measure")),
        "seconds_total": seconds.get("total"),
        "peak_memory_bytes": run.get("peak_memory_bytes"),
        **{f"bytes_{part}": count for part, count in kept.items()},
        "bytes_kept": _sum(kept.values()),
    }


def _members(run: RunDocument) -> dict[str, float | None]:
    """Return what the networks of a cohort reach alone; nothing is known of a single network."""
    alone = known_values(member["average_recall_at_1"] for member in run.get("members") or [])
    return {
        "members_mean": mean_of_known(alone),
        "best_member": max(alone, default=None),
    }


def mean_of_known(values: Iterable[float | None]) -> float | None:
    """Return the mean over what was measured, None where nothing was.

    >>> mean_of_known([0.5, None, 0.7]), mean_of_known([None])
    (0.6, None)
    """
    known = known_values(values)
    return sum(known) / len(known) if known else None


def known_values(values: Iterable[float | None]) -> list[float]:
    """Return the numbers among the values: None and NaN both stand for what was not measured."""
    return [value for value in map(_known, values) if value is not None]


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def _known_rows(rows: Sequence[Sequence[float | None]]) -> Matrix:
    return tuple(tuple(map(_known, row)) for row in rows)


def _sum(values: Iterable[float | None] | None) -> float | None:
    known = known_values(values or [])
    return sum(known) if known else None
