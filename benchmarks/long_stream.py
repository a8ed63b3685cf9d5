"""What the fiftieth task costs beside the fifth: time, memory and disk of a long stream of equal tasks.

Run ``python -m benchmarks.long_stream --record``, then ``--render``. Fifty tasks of six written characters,
twenty pictures each, are ingested one after the other by ``cdml ingest-task``, each in a process of its own
whose processor time and peak memory the system tells, and each task's folder is deleted once it is learned.
A machine is not as fast in one minute as in another, so what came before the fifth task and before the last
one is kept aside, and both tasks are learned again and again in turn.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.documents import add_recording, append_result, read_results, replace_tables
from benchmarks.processes import NOT_JUDGED, Ran, cdml
from benchmarks.side_by_side.intervals import median_with_interval
from benchmarks.workspace_bytes import bytes_by_kind
from cli.machine import environment
from streams.glyphs import GLYPH_TASKS, render_task

RESULTS = Path("benchmarks/results/long_stream.jsonl")
DOCUMENT, TABLES = Path("docs/benchmarks.md"), "long stream"
CATEGORIES, PICTURES, SIDE = 6, 20, 36
FIFTH = 5
SHOWN = (1, 2, 5, 10, 20, 30, 40, 50)
SMALL_NETWORK = ("--backbone", "conv4", "--weights", "none", "--image-side", "32", "--no-flip")
AROUND = 2
"""So many tasks on either side of the fifth and before the last are taken together with it."""


def draw(home: Path, tasks: int, seed: int) -> list[Path]:
    """Draw all characters, deal them out in random order, and return the folders of ``tasks`` tasks."""
    for kind in GLYPH_TASKS:
        render_task(kind, home / "all", None, PICTURES, SIDE, seed)
    names = sorted(path.name for path in (home / "all").iterdir())
    dealt = [names[position] for position in np.random.default_rng(seed).permutation(len(names))]
    if tasks * CATEGORIES > len(dealt):
        sys.exit(f"there are {len(dealt)} characters: {tasks} tasks of {CATEGORIES} are too many")
    folders = []
    for task in range(tasks):
        folder = home / "tasks" / f"task-{task + 1:02d}"
        folder.mkdir(parents=True)
        for name in dealt[task * CATEGORIES : (task + 1) * CATEGORIES]:
            shutil.move(home / "all" / name, folder / name)
        folders.append(folder)
    return folders


@dataclass(frozen=True)
class Stream:
    """A stream in a folder of its own, and how its tasks are learned."""

    home: Path
    steps: int | None
    seed: int

    def begin(self, workspace: Path) -> None:
        """Make a workspace of a small network without pretrained weights."""
        cdml("init", "-w", str(workspace), *SMALL_NETWORK)

    def learn(self, folder: Path, workspace: Path) -> Ran:
        """Ingest a task into a workspace."""
        steps = () if self.steps is None else ("--steps", str(self.steps))
        options = ("-w", str(workspace), "--seed", str(self.seed), *steps, *NOT_JUDGED)
        return cdml("ingest-task", str(folder), *options)

    def keep(self, folder: Path, workspace: Path) -> None:
        """Keep a task, and the workspace as it is before it, for later."""
        shutil.copytree(folder, self.home / "kept" / folder.name / "task")
        shutil.copytree(workspace, self.home / "kept" / folder.name / "workspace")

    def in_turn(self, rounds: int) -> list[list[dict[str, float]]]:
        """Learn the two tasks that were kept, early and late, in turn; return what each took, by round."""
        names = sorted(path.name for path in (self.home / "kept").iterdir())
        found = []
        for number in range(rounds):
            pair = {}
            for name in names if number % 2 == 0 else names[::-1]:
                kept, again = self.home / "kept" / name, self.home / "again"
                shutil.copytree(kept / "workspace", again)
                pair[name] = used(self.learn(kept / "task", again))
                shutil.rmtree(again)
            found.append([pair[name] for name in names])
            print(f"in turn: {found[-1]}", flush=True)
        return found


def used(done: Ran) -> dict[str, float]:
    """Return what a command took."""
    return {
        "seconds": round(done.clock, 3),
        "processor_seconds": round(done.processor, 3),
        "peak_mb": round(done.peak, 1),
    }


def run(tasks: int, steps: int | None, seed: int, rounds: int) -> dict[str, Any]:
    """Ingest ``tasks`` tasks; return one row for each, and two tasks learned in turn ``rounds`` times."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="cdml-long-") as scratch:
        stream = Stream(Path(scratch), steps, seed)
        folders, workspace = draw(stream.home, tasks, seed), stream.home / "workspace"
        stream.begin(workspace)
        for number, folder in enumerate(folders, 1):
            if rounds and number in (FIFTH, tasks):
                stream.keep(folder, workspace)
            done = stream.learn(folder, workspace)
            shutil.rmtree(folder)
            took, stages = used(done), done.document["seconds"]
            rows.append({**took, "stages": stages, "bytes": bytes_by_kind(workspace)})
            print(f"{folder.name}: {took} {stages}", flush=True)
        return {"rows": rows, "in_turn": stream.in_turn(rounds) if rounds else []}


def ratio(rows: Sequence[Mapping[str, Any]], what: str) -> float:
    """Return the median of the last tasks over that of those around the fifth."""
    early, late = _medians([row[what] for row in rows])
    return round(late / early, 3)


def longer(rows: Sequence[Mapping[str, Any]], stage: str) -> float:
    """Return by how many seconds a stage of the last tasks is longer than of those around the fifth."""
    early, late = _medians([row["stages"][stage] for row in rows])
    return late - early


def _medians(values: Sequence[float]) -> tuple[float, float]:
    around = values[FIFTH - 1 - AROUND : FIFTH + AROUND]
    return float(median(around)), float(median(values[-1 - 2 * AROUND :]))


def rendered(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of the last result of each seed."""
    last = {result["seed"]: result for result in results}
    runs = [last[seed] for seed in sorted(last)]
    first = runs[0]
    versions = ", ".join(f"{name} {value}" for name, value in first["environment"].items())
    steps = first["steps"] or "default"
    lines = [
        f"{first['tasks']} tasks of {CATEGORIES} characters x {PICTURES} pictures, {steps} steps, seeds "
        f"{', '.join(map(str, last))}; medians over seeds. Machine and versions: {versions}.",
        "",
        "| task | seconds | processor seconds | peak memory, MB | statistics, MB | drift maps, MB | items, "
        "vectors, index, MB | kept queries, MB | whole workspace, MB |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for task in (task for task in SHOWN if task <= first["tasks"]):
        rows = [one["rows"][task - 1] for one in runs]
        figures = [f"{median(row[name] for row in rows):.1f}" for name in _TIMES]
        figures += [_megabytes(rows, names) for names in _DISK]
        lines.append(f"| {task} | " + " | ".join(figures) + " |")
    lines += ["", "Tasks 46 to 50 over tasks 3 to 7, medians, by seed:", ""]
    for name, what in _COMPARED:
        lines.append(f"- {name}: " + ", ".join(f"{ratio(one['rows'], what):.3f}" for one in runs))
    lines += ["", "Seconds that a stage takes longer there, likewise:", ""]
    for stage in _STAGES:
        lines.append(f"- {stage}: " + ", ".join(f"{longer(one['rows'], stage):.2f}" for one in runs))
    for one in runs:
        if one.get("in_turn"):
            lines += ["", *_in_turn(one)]
    return "\n".join(lines)


def _in_turn(result: Mapping[str, Any]) -> list[str]:
    rounds = result["in_turn"]
    lines = [
        f"Task {result['tasks']} over task {FIFTH}, seed {result['seed']}, learned in turn {len(rounds)} "
        "times, median of the rounds and its 95 % interval; then the medians of both:",
        "",
    ]
    for name, what in _COMPARED:
        middle, low, high = median_with_interval([late[what] / early[what] for early, late in rounds])
        early, late = (median(one[place][what] for one in rounds) for place in (0, 1))
        lines.append(f"- {name}: **{middle:.3f}** ({low:.3f} to {high:.3f}); {early:.1f} and {late:.1f}")
    return lines


_STAGES = ("embed queries", "evaluate", "refresh", "write", "learn")
_COMPARED = (
    ("processor time, s", "processor_seconds"),
    ("time, s", "seconds"),
    ("peak memory, MB", "peak_mb"),
)


_TIMES = ("seconds", "processor_seconds", "peak_mb")
_DISK = (("statistics",), ("drift",), ("items", "vectors", "index"), ("queries", "asked"), ("total",))


def _megabytes(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    return f"{median(sum(row['bytes'][name] for name in names) for row in rows) / 1e6:.2f}"


def main(arguments: Sequence[str]) -> None:
    """Measure, or render what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.long_stream", description=__doc__)
    parser.add_argument("--tasks", type=int, default=50)
    parser.add_argument("--steps", type=int, help="of a task; as many as cdml takes by itself else")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--rounds", type=int, default=15, help="of the fifth and the last task in turn; 0: none"
    )
    add_recording(parser, RESULTS, DOCUMENT)
    options = parser.parse_args(arguments)
    if options.render:
        replace_tables(DOCUMENT, TABLES, rendered(read_results(RESULTS)))
        return
    for seed in options.seeds:
        found = run(options.tasks, options.steps, seed, options.rounds)
        line = {"seed": seed, "tasks": options.tasks, "steps": options.steps, **found}
        print({name: ratio(found["rows"], name) for _, name in _COMPARED})
        if options.record:
            append_result(RESULTS, {"environment": environment(), **line})


if __name__ == "__main__":
    main(sys.argv[1:])
