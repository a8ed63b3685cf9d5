"""The main job on real photos: 81 grocery classes as five tasks, learned through the command line.

Run ``python -m benchmarks.grocery_stream --help``. Every arm makes a workspace of its own with ``cdml init``,
ingests the five tasks with ``cdml ingest-task`` and reads ``cdml report --json``; nothing is measured by
other means. Results are appended to a JSON-lines file as they come in, so that an interrupted run loses
nothing, and ``--render`` writes the tables of docs/benchmarks.md from it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.documents import append_result, read_results, replace_tables
from benchmarks.grocery_tables import render
from benchmarks.photos import GROCERY_TASKS
from benchmarks.processes import DONE, cdml
from cli.machine import environment
from streams.splits import write_split

TABLES = "grocery tables"


@dataclass(frozen=True)
class Arm:
    """One way to learn the stream: options of ``cdml ingest-task``, and whether images vanish afterwards.

    ``later_options``: of all tasks but the first, besides.
    """

    name: str
    options: tuple[str, ...]
    deletes_images: bool = False
    later_options: tuple[str, ...] = ()


ARMS = {
    arm.name: arm
    for arm in (
        Arm("mutual-distillation", ("--method", "mutual-distillation")),
        Arm("mutual-distillation, images deleted", ("--method", "mutual-distillation"), deletes_images=True),
        Arm("finetune, trained head", ("--method", "finetune", "--head", "trained")),
        Arm("frozen, statistics head", ("--method", "frozen", "--head", "statistics")),
        Arm("frozen, trained head", ("--method", "frozen", "--head", "trained")),
        Arm(
            "relation-distillation, trained head", ("--method", "relation-distillation", "--head", "trained")
        ),
        Arm("feature-distillation, trained head", ("--method", "feature-distillation", "--head", "trained")),
        Arm("finetune, statistics head", ("--method", "finetune", "--head", "statistics")),
        Arm("mutual-distillation, last stage", ("--method", "mutual-distillation", "--train-stages", "1")),
        Arm("mutual-distillation, last 2 stages", ("--method", "mutual-distillation", "--train-stages", "2")),
        Arm(
            "mutual-distillation, last stage of later tasks",
            ("--method", "mutual-distillation"),
            later_options=("--train-stages", "1"),
        ),
        Arm(
            "mutual-distillation, last 2 stages of later tasks",
            ("--method", "mutual-distillation"),
            later_options=("--train-stages", "2"),
        ),
    )
}


def main() -> None:
    """Run the asked arms and seeds, or render what has been run."""
    options = _options()
    if options.render is not None:
        replace_tables(options.render, TABLES, render(read_results(options.results)))
        return
    with tempfile.TemporaryDirectory(prefix="cdml-grocery-") as scratch:
        with zipfile.ZipFile(options.data) as archive:
            archive.extractall(Path(scratch) / "all")
        for seed in options.seeds:
            for name in options.arms:
                result = run(ARMS[name], seed, Path(scratch), options)
                append_result(options.results, result)
                summary = result["report"]["summary"]["1"]
                print(name, "seed", seed, summary, f"{result['seconds']:.0f} s", flush=True)


def run(arm: Arm, seed: int, scratch: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Learn the stream once and return what the command line reported."""
    home = Path(tempfile.mkdtemp(dir=scratch))
    tasks = write_split(scratch / "all", home / "tasks", GROCERY_TASKS, seed)
    began = time.perf_counter()
    where = ("-w", str(home / "workspace"))
    cdml("init", *where, "--weights", str(options.weights), "--image-side", str(options.image_side))
    for number, task in enumerate(tasks):
        steps = options.first_steps if number == 0 else options.later_steps
        settings = ("--steps", str(steps), "--seed", str(seed))
        later = arm.later_options if number else ()
        cdml("ingest-task", str(task), *where, *arm.options, *later, *settings, accepted=DONE)
        if arm.deletes_images:
            shutil.rmtree(task)
    report = cdml("report", *where).document
    status = cdml("status", *where).document
    seconds = time.perf_counter() - began
    shutil.rmtree(home)
    return {
        "arm": arm.name,
        "seed": seed,
        "seconds": seconds,
        "steps": [options.first_steps, options.later_steps],
        "image_side": options.image_side,
        "report": without_paths(report),
        "status": status,
        "environment": environment(),
    }


def without_paths(report: dict[str, Any]) -> dict[str, Any]:
    """Return the report without the temporary folders that it was made in."""
    tasks = [{name: value for name, value in task.items() if name != "source"} for task in report["tasks"]]
    return {**report, "tasks": tasks}


def _options() -> argparse.Namespace:
    shared = Path(os.environ.get("CDML_TEST_DATA", "../shared"))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=shared / "data/grocery-160.zip")
    parser.add_argument(
        "--weights", type=Path, default=shared / "weights/mobilenet_v2-imagenet1k.safetensors"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--image-side", type=int, default=128)
    parser.add_argument("--first-steps", type=int, default=200)
    parser.add_argument("--later-steps", type=int, default=80)
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results/grocery.jsonl"))
    parser.add_argument("--render", type=Path, help="put the tables of --results into this document and stop")
    return parser.parse_args()


if __name__ == "__main__":
    main()
