"""What ``cdml ingest-task --dry-run`` foretells, beside what the ingest then takes.

Run ``python -m benchmarks.cost_model --record`` on an otherwise idle machine, then ``--render``. Each stream
is learned task by task; before tasks 1, 2 and 5 a dry run foretells time, peak memory and disk, in a process
of its own, and the ingest that follows is measured from outside: its clock, the memory that the system says
it took, and the bytes by which the workspace grew.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.documents import add_recording, append_result, read_results, replace_tables
from benchmarks.long_stream import SMALL_NETWORK
from benchmarks.photos import GROCERY_TASKS, deal_photos
from benchmarks.processes import DONE, cdml
from benchmarks.workspace_bytes import bytes_by_kind
from cli.machine import environment
from streams.glyphs import render_task

RESULTS = Path("benchmarks/results/cost_model.jsonl")
DOCUMENT, TABLES = Path("docs/benchmarks.md"), "cost model"
FORETOLD = (1, 2, 5)
ALPHABETS = ("latin", "greek", "cyrillic", "arrows", "operators")
CHARACTERS, PICTURES, PICTURE_SIDE = 15, 30, 48
LIMIT = 0.30
WHAT = ("seconds", "peak_mb", "growth_mb")
REFUSED = 5
"""Exit code of an ingest whose gate refused what it had written."""


@dataclass(frozen=True)
class Stream:
    """A stream and how it is learned: ``options`` of ``cdml init`` and of ``cdml ingest-task``."""

    name: str
    photos: bool
    network: tuple[str, ...]
    options: tuple[str, ...] = ()


def streams(weights: Path) -> dict[str, Stream]:
    """Return all streams by name."""
    photos = ("--weights", str(weights), "--image-side", "128")
    found = (
        Stream("grocery", True, photos),
        Stream("grocery, 40 steps", True, photos, ("--steps", "40")),
        Stream("glyphs", False, SMALL_NETWORK),
    )
    return {stream.name: stream for stream in found}


def task_folders(stream: Stream, data: Path, home: Path) -> list[Path]:
    """Write the tasks of a stream below ``home`` and return their folders."""
    if stream.photos:
        return deal_photos(home, GROCERY_TASKS, data)
    for name in ALPHABETS:
        render_task(name, home / "tasks" / name, CHARACTERS, PICTURES, PICTURE_SIDE)
    return [home / "tasks" / name for name in ALPHABETS]


def learned(stream: Stream, data: Path) -> list[dict[str, Any]]:
    """Learn a stream; return, for each task that was foretold, both sides of it."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="cdml-cost-") as scratch:
        home, workspace = Path(scratch), Path(scratch) / "workspace"
        cdml("init", "-w", str(workspace), *stream.network)
        for number, folder in enumerate(task_folders(stream, data, home), 1):
            command = ("ingest-task", str(folder), "-w", str(workspace), *stream.options)
            dry = cdml(*command, "--dry-run", accepted=DONE) if number in FORETOLD else None
            before = bytes_by_kind(workspace)["total"]
            real = cdml(*command, accepted=(*DONE, REFUSED))
            if dry is None:
                continue
            foretold = dry.document["estimate"]
            rows.append(
                {
                    "task": number,
                    "steps": foretold["steps"],
                    "dry_run_seconds": round(dry.clock, 2),
                    "foretold": {
                        "seconds": foretold["total_seconds"],
                        "peak_mb": round(foretold["peak_memory_bytes"] / 2**20, 1),
                        "growth_mb": round(foretold["growth_bytes"] / 1e6, 2),
                    },
                    "took": {
                        "seconds": round(real.clock, 2),
                        "peak_mb": round(real.peak, 1),
                        "growth_mb": round((bytes_by_kind(workspace)["total"] - before) / 1e6, 2),
                    },
                    "processor_seconds": round(real.processor, 2),
                    "stages": {"foretold": foretold["stages"], "took": real.document["seconds"]},
                }
            )
            print(stream.name, rows[-1], flush=True)
    return rows


def rendered(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the table: medians over the runs of each stream on the machine of the last one."""
    last = results[-1]["environment"]
    runs = [one for one in results if one["environment"] == last]
    versions = ", ".join(f"{name} {value}" for name, value in last.items())
    names = list(dict.fromkeys(one["stream"] for one in runs))
    counts = {sum(one["stream"] == name for one in runs) for name in names}
    lines = [
        f"Foretold / took, ratio; medians of {' or '.join(map(str, sorted(counts)))} runs. Machine and "
        f"versions: {versions}.",
        "",
        "| stream | task | steps | dry run, s | time, s | peak memory, MB | more on disk, MB |",
        "|:--|--:|--:|--:|--:|--:|--:|",
    ]
    outside = []
    for name in names:
        of_stream = [one["rows"] for one in runs if one["stream"] == name]
        for rows in zip(*of_stream, strict=True):
            first = rows[0]
            cells = [name, str(first["task"]), str(first["steps"])]
            cells.append(f"{median(row['dry_run_seconds'] for row in rows):.1f}")
            for what in WHAT:
                told, took = (median(row[side][what] for row in rows) for side in ("foretold", "took"))
                ratio = median(row["foretold"][what] / row["took"][what] for row in rows)
                cells.append(f"{told:.1f} / {took:.1f}, **{ratio:.2f}**")
                if abs(ratio - 1) > LIMIT:
                    outside.append(f"{name}, task {first['task']}: {what}")
            lines.append(f"| {' | '.join(cells)} |")
    told = (
        f"Further off than {LIMIT:.0%}: {'; '.join(outside)}." if outside else f"All are within {LIMIT:.0%}."
    )
    return "\n".join([*lines, "", told])


def main(arguments: Sequence[str]) -> None:
    """Measure, or render what was measured."""
    shared = Path(os.environ.get("CDML_TEST_DATA", "../shared"))
    weights = shared / "weights/mobilenet_v2-imagenet1k.safetensors"
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost_model", description=__doc__)
    parser.add_argument("--data", type=Path, default=shared / "data/grocery-160.zip")
    parser.add_argument("--weights", type=Path, default=weights)
    parser.add_argument(
        "--streams", nargs="+", choices=list(streams(weights)), default=list(streams(weights))
    )
    parser.add_argument("--rounds", type=int, default=1, help="how often each stream is learned")
    add_recording(parser, RESULTS, DOCUMENT)
    options = parser.parse_args(arguments)
    if options.render:
        replace_tables(DOCUMENT, TABLES, rendered(read_results(RESULTS)))
        return
    for _ in range(options.rounds):
        for name in options.streams:
            rows = learned(streams(options.weights)[name], options.data)
            if options.record:
                append_result(RESULTS, {"environment": environment(), "stream": name, "rows": rows})


if __name__ == "__main__":
    main(sys.argv[1:])
