"""What the fiftieth task costs beside the fifth: time, memory and disk of a long stream of equal tasks.

Run ``python -m benchmarks.long_stream --record``, then ``--render``. Fifty tasks of six written characters,
twenty pictures each, are ingested one after the other by ``cdml ingest-task``, each in a process of its own
whose processor time and peak memory the system tells, and each task's folder is deleted once it is learned.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.documents import append_result, read_results, replace_tables
from benchmarks.processes import cdml
from cli.machine import environment
from streams.glyphs import GLYPH_TASKS, render_task

RESULTS = Path("benchmarks/results/long_stream.jsonl")
DOCUMENT, TABLES = Path("docs/benchmarks.md"), "long stream"
CATEGORIES, PICTURES, SIDE = 6, 20, 36
SHOWN = (1, 2, 5, 10, 20, 30, 40, 50)
UNJUDGED = ("--min-recall", "0", "--max-forgetting", "1")
"""So few pictures teach little: no task is to be refused for it."""
AROUND = 2
"""So many tasks on either side of the fifth and before the last are taken together with it."""
GROUPS = ("statistics", "drift", "items", "vectors", "index", "queries", "asked", "catalogue", "model")


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


def sizes(workspace: Path) -> dict[str, int]:
    """Return the bytes of the workspace's files by kind, and of all of them; a linked file counts once."""
    found = dict.fromkeys((*GROUPS, "total"), 0)
    seen: set[tuple[int, int]] = set()
    for path in workspace.rglob("*"):
        status = path.stat()
        if not path.is_file() or (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        group = path.name.split("-")[0].split(".")[0]
        found["total"] += status.st_size
        if path.parent.parent.name == "gen" and group in found:
            found[group] += status.st_size
    return found


def run(tasks: int, steps: int | None, seed: int) -> list[dict[str, Any]]:
    """Ingest ``tasks`` tasks; return one row for each."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="cdml-long-") as scratch:
        home = Path(scratch)
        folders = draw(home, tasks, seed)
        where = ("-w", str(home / "workspace"))
        cdml("init", *where, "--backbone", "conv4", "--weights", "none", "--image-side", "32", "--no-flip")
        for folder in folders:
            options = ("--seed", str(seed), *(() if steps is None else ("--steps", str(steps))))
            done = cdml("ingest-task", str(folder), *where, *options, *UNJUDGED)
            shutil.rmtree(folder)
            used = {
                "seconds": round(done.clock, 3),
                "processor_seconds": round(done.processor, 3),
                "peak_mb": round(done.peak, 1),
            }
            stages = done.document["seconds"]
            rows.append({**used, "stages": stages, "bytes": sizes(home / "workspace")})
            print(f"{folder.name}: {used} {stages}", flush=True)
    return rows


def ratio(rows: Sequence[Mapping[str, Any]], what: str) -> float:
    """Return the median of the last tasks over that of those around the fifth."""
    early = [row[what] for row in rows[4 - AROUND : 5 + AROUND]]
    late = [row[what] for row in rows[-1 - 2 * AROUND :]]
    return round(float(median(late) / median(early)), 3)


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
    names = (("processor time", "processor_seconds"), ("time", "seconds"), ("peak memory", "peak_mb"))
    for name, what in names:
        lines.append(f"- {name}: " + ", ".join(f"{ratio(one['rows'], what):.3f}" for one in runs))
    return "\n".join(lines)


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
    parser.add_argument("--record", action="store_true", help=f"add the results to {RESULTS}")
    parser.add_argument("--render", action="store_true", help=f"put the last results into {DOCUMENT}")
    options = parser.parse_args(arguments)
    if options.render:
        replace_tables(DOCUMENT, TABLES, rendered(read_results(RESULTS)))
        return
    for seed in options.seeds:
        rows = run(options.tasks, options.steps, seed)
        line = {"seed": seed, "tasks": options.tasks, "steps": options.steps, "rows": rows}
        print({name: ratio(rows, name) for name in ("processor_seconds", "seconds", "peak_mb")})
        if options.record:
            append_result(RESULTS, {"environment": environment(), **line})


if __name__ == "__main__":
    main(sys.argv[1:])
