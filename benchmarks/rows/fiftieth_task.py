"""What the fiftieth task of a long stream costs beside the fifth, with as much new data.

What came before either task is kept aside, and both are learned again and again in turn, each by ``cdml
ingest-task`` in a process of its own. The growth from task to task is a table of ``benchmarks.long_stream``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.side_by_side.rows import Answers, Arm, Row, Sizes, Target, Work

FIFTH = "task 5"
EARLY, LATE = 5, 50
FEW_STEPS = 3
"""Of the tasks between: what a task costs does not depend on how well those before it were learned."""


def prepare(folder: Path, sizes: Sizes) -> None:
    """Learn all tasks up to the late one; keep the workspace before that one, and before the early one."""
    from benchmarks.long_stream import Stream, draw

    stream, workspace = Stream(folder, FEW_STEPS, 0), folder / "workspace"
    stream.begin(workspace)
    for number, task in enumerate(draw(folder, sizes["late"], 0), 1):
        if number in (EARLY, sizes["late"]):
            stream.keep(task, workspace)
        if number < sizes["late"]:
            stream.learn(task, workspace)
            shutil.rmtree(task)


def learned(folder: Path, sizes: Sizes) -> Work:
    """Learn one of the two in a copy of the workspace as it was before."""
    from benchmarks.long_stream import Stream
    from benchmarks.stage_seconds import stage_table
    from benchmarks.workspace_bytes import bytes_by_kind

    number = sizes["late"] if sizes["is_late"] else EARLY
    kept = folder / "kept" / f"task-{number:02d}"
    again = folder / f"again-{os.getpid()}"
    stream = Stream(folder, sizes["steps"], 0)
    told: dict[str, float] = {}
    stages: dict[str, float] = {}

    def before() -> None:
        shutil.rmtree(again, ignore_errors=True)
        shutil.copytree(kept / "workspace", again)
        told["bytes before"] = bytes_by_kind(again)["total"]

    def run() -> dict[str, Any]:
        done = stream.learn(kept / "task", again)
        told["peak"] = done.peak
        stages.update(done.document["seconds"], command=done.clock)
        return {"learned": [1]}

    def figures() -> Mapping[str, float]:
        after = bytes_by_kind(again)
        return {
            "peak_MB": told["peak"],
            "statistics_MB": after["statistics"] / 1e6,
            "MB_more_on_disk": (after["total"] - told["bytes before"]) / 1e6,
        }

    profile = partial(stage_table, {f"task {number}": stages})
    return Work(run, before=before, figures=figures, profile=profile)


def both_were_learned(ours: Answers, theirs: Answers) -> str | None:
    """The two are other tasks: nothing but that they were learned is the same."""
    return None if ours["learned"].all() and theirs["learned"].all() else "a task was not learned"


ROWS = (
    Row(
        name="fiftieth_task",
        title="task 50 of a stream, equal new data",
        arms=(
            Arm("ours", f"{__name__}:learned", options={"is_late": True}),
            Arm(FIFTH, f"{__name__}:learned", options={"is_late": False}),
        ),
        targets=(
            Target(against=FIFTH, at_most=1.10, inverse=True),
            Target(figure="peak_MB", against=FIFTH, at_most=1.10, inverse=True),
        ),
        same=both_were_learned,
        prepare=prepare,
        sizes={"late": LATE, "steps": None},
        quick={"late": 6, "steps": 10},
        long=True,
        limits=(
            "Learning stays as it is (see the table of what grows). What grows is the report's work and "
            "what old items are carried by: a second beside five, where tasks are as small as tasks get. "
            "Up to 2,000 held-out images of earlier tasks are embedded and compared again, and a drift map "
            "for each task, 1.6 MB with this network, is read and held. Taken: one look at the catalogue "
            "and at the gallery, maps folded into one another from the end. Not taken: asking fewer "
            "(`evaluation.earlier_queries`), because forgetting cannot be measured without asking."
        ),
    ),
)
