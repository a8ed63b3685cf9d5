"""How time, memory and disk grow: with the gallery, with the number of tasks, with the size of images.

``python -m benchmarks.scaling --record``, then ``--render``. Every figure is of a
command in a process of its own, as the system tells it. Galleries are noisy copies of the features of real
photos (``benchmarks.large_refresh``), a thousand to a million; the new task is the same in each. The stream
of tasks is that of ``benchmarks.long_stream``. Of each curve the slope on logarithmic scales is told: 0 for
what does not grow, 1 for what grows as its cause does.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import long_stream
from benchmarks.documents import add_recording, append_result, read_results, replace_tables
from benchmarks.large_refresh import multiply
from benchmarks.photos import deal_photos, shared_file
from benchmarks.processes import DONE, NOT_JUDGED, Ran, cdml
from benchmarks.scaling_tables import CONSTANT, curve_table
from benchmarks.workspace_bytes import bytes_by_kind, own_bytes
from cli.machine import environment

RESULTS, DOCUMENT, TABLES = Path("benchmarks/results/scaling.jsonl"), Path("docs/benchmarks.md"), "scaling"
ITEMS = (1_000, 10_000, 100_000, 1_000_000)
SIDES = (64, 96, 128, 192, 256)
TASKS, SHOWN_TASKS = 50, (2, 5, 10, 20, 30, 40, 50)
AROUND = 1
"""So many tasks on either side of a shown one are taken together with it."""
CATEGORIES, LEARNED = 7, 3
"""As many categories of a task as a gallery of a thousand items has room for."""
STEPS = ("--steps", "3", "--batch-categories", "4", "--images-per-category", "4")
Figures = dict[str, float]
MOST: Mapping[str, Mapping[str, float]] = {
    "gallery": {"ingest-task: learn, s": CONSTANT, "ingest-task: MB written": CONSTANT,
                "refresh: MB written": 1.0, "refresh, s": 1.0, "ingest-task, s": 1.0},
    "tasks": {"learn, s": CONSTANT, "statistics, MB": 1.0},
    "images": {"learn, s": 2.0, "read, s": 2.0, "peak, MB": 2.0},
}  # fmt: skip
"""Slopes that are promised: what handles the new task alone stays as it is, all else grows no faster than
its cause, pixels being the square of a side. A refresh is about the items that are there already."""


def photo_tasks(home: Path) -> list[Path]:
    """Return folders of a few categories of photos each: some that are learned, and one more."""
    return deal_photos(home, [CATEGORIES] * (LEARNED + 1))


@dataclass(frozen=True)
class Gallery:
    """A workspace with many items, and what one more task, a refresh and a query cost in it."""

    workspace: Path

    def command(self, *arguments: str) -> Ran:
        """Run a command in the workspace."""
        return cdml(*arguments, "-w", str(self.workspace), accepted=DONE)

    def learn(self, folder: Path, refresh: str) -> Ran:
        """Ingest a task; ``refresh`` says what happens to the items of earlier ones."""
        return self.command("ingest-task", str(folder), *STEPS, *NOT_JUDGED, "--refresh", refresh)

    def measured(self, folder: Path) -> Figures:
        """Return the figures of a query, of a refresh that is undone again, and of a task learned."""
        photo = str(next(folder.rglob("*.jpg")))
        asked = [self.command("query", photo, "-k", "10", "--no-threshold") for _ in range(3)]
        refreshed = self.command("refresh", "--refresh", "project", "--max-forgetting", "1")
        stages = self.command("report").document["seconds"]
        written = self._written(refreshed)
        self.command("rollback")
        learned = self.learn(folder, "project")
        seconds: Mapping[str, float] = learned.document["seconds"]
        return {
            "query, s": median(one.clock for one in asked),
            "query: peak, MB": median(one.peak for one in asked),
            "refresh, s": refreshed.clock,
            "refresh: carry and write, s": stages["refresh"] + stages["write"],
            "refresh: evaluate, s": stages["evaluate"],
            "refresh: peak, MB": refreshed.peak,
            "refresh: MB written": written,
            "ingest-task, s": learned.clock,
            "ingest-task: learn, s": seconds["learn"],
            "ingest-task: carry and write, s": seconds["refresh"] + seconds["write"],
            "ingest-task: evaluate, s": seconds["evaluate"],
            "ingest-task: peak, MB": learned.peak,
            "ingest-task: MB written": self._written(learned),
        }

    def _written(self, done: Ran) -> float:
        """Return the MB of a generation's own files; those of the one before are linked."""
        folder = self.workspace / "gen" / f"{done.document['generation']:08d}"
        return own_bytes(folder) / 1e6


def gallery(home: Path, rounds: int) -> dict[str, Any]:
    """Measure galleries of all sizes."""
    *folders, new = photo_tasks(home)
    first = home / "learned" / "workspace"
    network = ("--backbone", "resnet18", "--weights", "none", "--image-side", "64")
    cdml("init", "-w", str(first), *network, "--keep-generations", "4")
    for folder in folders:
        Gallery(first).learn(folder, "keep")
    points = []
    for items in ITEMS:
        found = []
        for _ in range(rounds):
            again = home / "again"
            shutil.copytree(first.parent, again)
            multiply(again, items)
            found.append(Gallery(again / "workspace").measured(new))
            shutil.rmtree(again)
        points.append(_point(items, found))
    return {"of": "items in the gallery", "points": points}


def tasks(home: Path, rounds: int) -> dict[str, Any]:
    """Learn a long stream of equal tasks; figures are medians over neighbours."""
    del rounds  # neighbours stand for them
    stream, workspace = long_stream.Stream(home, None, 0), home / "workspace"
    stream.begin(workspace)
    rows: list[Figures] = []
    for folder in long_stream.draw(home, TASKS, 0):
        done = stream.learn(folder, workspace)
        shutil.rmtree(folder)
        disk = bytes_by_kind(workspace)
        seconds = done.document["seconds"]
        rows.append(
            {
                "whole command, s": done.clock,
                "processor, s": done.processor,
                "learn, s": seconds["learn"],
                "refresh, s": seconds["refresh"],
                "embed queries, s": seconds["embed queries"],
                "evaluate, s": seconds["evaluate"],
                "peak, MB": done.peak,
                "statistics, MB": disk["statistics"] / 1e6,
                "drift maps, MB": disk["drift"] / 1e6,
                "workspace, MB": disk["total"] / 1e6,
            }
        )
        print(f"task {len(rows)}: {done.clock:.1f} s", flush=True)
    points = [_point(task, rows[max(1, task - 1 - AROUND) : task + AROUND]) for task in SHOWN_TASKS]
    return {"of": "task", "points": points}


def images(home: Path, rounds: int) -> dict[str, Any]:
    """Learn the same photos at several sides."""
    folder = photo_tasks(home)[0]
    weights = shared_file("weights/mobilenet_v2-imagenet1k.safetensors")
    points = []
    for side in SIDES:
        found = []
        for _ in range(rounds):
            workspace = home / "workspace"
            where = ("-w", str(workspace))
            cdml("init", *where, "--weights", str(weights), "--image-side", str(side))
            done = cdml("ingest-task", str(folder), *where, "--steps", "10", *NOT_JUDGED, accepted=DONE)
            seconds = done.document["seconds"]
            asked = cdml("query", str(next(folder.rglob("*.jpg"))), *where, "--no-threshold")
            shutil.rmtree(workspace)
            figures = {f"{name}, s": seconds[name] for name in ("read", "learn", "embed queries")}
            figures |= {"whole command, s": done.clock, "peak, MB": done.peak, "query, s": asked.clock}
            found.append(figures)
        points.append(_point(side, found))
    return {"of": "side of an image, px", "points": points}


def _point(at: int, found: Sequence[Figures]) -> dict[str, Any]:
    figures = {name: round(median(one[name] for one in found), 4) for name in found[0]}
    print(at, figures, flush=True)
    return {"at": at, "figures": figures}


CURVES: Mapping[str, Callable[[Path, int], dict[str, Any]]] = {
    "gallery": gallery,
    "tasks": tasks,
    "images": images,
}


def rendered(results: Iterable[Mapping[str, Any]]) -> str:
    """Return the tables of the last result of each curve."""
    lines = []
    last = {result["curve"]: result for result in results}
    for name, result in last.items():
        machine = ", ".join(f"{what} {value}" for what, value in result["environment"].items())
        middle = "a task and its neighbours" if name == "tasks" else f"{result['rounds']} rounds"
        lines += [f"**{name}**; medians of {middle}; {machine}.", ""]
        lines += [*curve_table(result, MOST[name]), ""]
    return "\n".join(lines).rstrip()


def main(arguments: Sequence[str]) -> None:
    """Measure, or render what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--curves", nargs="+", choices=list(CURVES), default=list(CURVES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to put workspaces; a temporary one else")
    add_recording(parser, RESULTS, DOCUMENT)
    options = parser.parse_args(arguments)
    if options.render:
        replace_tables(DOCUMENT, TABLES, rendered(read_results(RESULTS)))
        return
    for name in options.curves:
        with tempfile.TemporaryDirectory(prefix="cdml-scaling-", dir=options.folder) as home:
            result = {
                "environment": environment(),
                "curve": name,
                "rounds": options.rounds,
                **CURVES[name](Path(home), options.rounds),
            }
        print("\n".join(curve_table(result, MOST[name])), flush=True)
        if options.record:
            append_result(RESULTS, result)


if __name__ == "__main__":
    main(sys.argv[1:])
