"""Which share of an ingest goes into surviving a crash: flushes, commits, the self-test before it is live.

Run ``python -m benchmarks.durability_cost --record``, then ``--render``. The first tasks of the grocery
stream are ingested in this process with every flush, commit and self-test timed. Few training steps make the
share large, not small.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from sqlalchemy.engine.default import DefaultDialect

from benchmarks.documents import add_recording, append_result, read_results, replace_tables
from benchmarks.photos import GROCERY_TASKS, deal_photos
from cli.machine import environment
from cli.wiring import IngestRequest, create_workspace, run_ingest
from continual_dml.ports import SilentListener
from continual_dml.settings import Settings
from storage.self_test import run_self_test
from storage.workspace import Workspace

RESULTS = Path("benchmarks/results/durability_cost.jsonl")
DOCUMENT, TABLES = Path("docs/benchmarks.md"), "durability"


class Clock:
    """Adds up the seconds of whatever it was put around."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.calls = 0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function``, timed."""

        def timed(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever it takes and gives
            begin = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self.seconds += time.perf_counter() - begin
                self.calls += 1

        return timed


@contextmanager
def clocks() -> Iterator[dict[str, Clock]]:
    """Time all that an ingest would not need if nothing ever went wrong."""
    found = {"flushes": Clock(), "commits": Clock(), "self-test": Clock()}
    commit = DefaultDialect.do_commit
    with (
        mock.patch.object(os, "fsync", found["flushes"].around(os.fsync)),
        mock.patch.object(DefaultDialect, "do_commit", found["commits"].around(commit)),
        mock.patch("storage.draft.run_self_test", found["self-test"].around(run_self_test)),
    ):
        yield found


def measured(workspace: Workspace, folder: Path, settings: Settings) -> dict[str, Any]:
    """Ingest one task and return where its seconds went."""
    with clocks() as found:
        begin = time.perf_counter()
        run_ingest(IngestRequest(folder, None, settings, "auto"), workspace, SilentListener())
        seconds = time.perf_counter() - begin
    parts = {name: round(clock.seconds, 4) for name, clock in found.items()}
    calls = {name: clock.calls for name, clock in found.items()}
    return {"seconds": round(seconds, 2), "parts": parts, "calls": calls,
            "share": round(sum(parts.values()) / seconds, 5)}  # fmt: skip


def table(result: Mapping[str, Any]) -> str:
    """Return the table of a result, a row for each task."""
    versions = ", ".join(f"{name} {value}" for name, value in result["environment"].items())
    return "\n".join(
        [
            f"{result['steps']} steps a task. Machine and versions: {versions}.",
            "",
            "| task | ingest, s | surviving a crash | flushes, s | commits, s | self-test, s |",
            "|---:|---:|---:|---:|---:|---:|",
            *(_row(number, task) for number, task in enumerate(result["tasks"], 1)),
        ]
    )


def _row(number: int, task: Mapping[str, Any]) -> str:
    parts = " | ".join(f"{task['parts'][name]:.2f}" for name in ("flushes", "commits", "self-test"))
    return f"| {number} | {task['seconds']:.0f} | {task['share']:.2%} | {parts} |"


def main(arguments: Sequence[str]) -> None:
    """Measure and print, or render what was measured."""
    shared = Path(os.environ.get("CDML_TEST_DATA", "../shared"))
    parser = argparse.ArgumentParser(prog="python -m benchmarks.durability_cost", description=__doc__)
    parser.add_argument("--data", type=Path, default=shared / "data/grocery-160.zip")
    weights = shared / "weights/mobilenet_v2-imagenet1k.safetensors"
    parser.add_argument("--weights", type=Path, default=weights)
    parser.add_argument("--method", default="mutual-distillation")
    parser.add_argument("--steps", type=int, default=20)
    add_recording(parser, RESULTS, DOCUMENT)
    options = parser.parse_args(arguments)
    if options.render:
        replace_tables(DOCUMENT, TABLES, table(read_results(RESULTS)[-1]))
        return
    training = {"method": options.method, "steps": options.steps}
    with tempfile.TemporaryDirectory(prefix="cdml-durability-") as scratch:
        home = Path(scratch)
        tasks = deal_photos(home, GROCERY_TASKS[:2], options.data)
        settings = Settings.from_dict({"training": training})
        workspace = create_workspace(home / "workspace", settings, None, str(options.weights))
        line = {**training, "tasks": [measured(workspace, task, settings) for task in tasks]}
    print(line)
    if options.record:
        append_result(RESULTS, {"environment": environment(), **line})


if __name__ == "__main__":
    main(sys.argv[1:])
