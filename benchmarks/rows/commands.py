"""Commands that only look, from start to end of their process, against a tool that imports all at its top."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.processes import environment_of_commands
from benchmarks.side_by_side.answers import equal
from benchmarks.side_by_side.rows import Arm, Row, Sizes, Target, Work

SLOW = "a tool that imports its stack"
TASKS = 3
AIM_SECONDS = 0.15


def prepare(folder: Path, sizes: Sizes) -> None:
    """Make a workspace that has learned a few tasks of written characters."""
    del sizes
    from benchmarks.long_stream import Stream, draw

    stream, workspace = Stream(folder, 2, 0), folder / "workspace"
    stream.begin(workspace)
    for task in draw(folder, TASKS, 0):
        stream.learn(task, workspace)


def ours(folder: Path, sizes: Sizes) -> Work:
    """A command of cdml."""
    where = () if sizes["command"] == "--help" else ("--json", "-w", str(folder / "workspace"))
    return _work([sys.executable, "-m", "cli.app", sizes["command"], *where], sizes["command"])


def whole_stack(folder: Path, sizes: Sizes) -> Work:
    """The tool that one would write first."""
    where = () if sizes["command"] == "--help" else (str(folder / "workspace" / "catalog.db"),)
    return _work([sys.executable, "-m", "benchmarks.whole_stack", sizes["command"], *where], sizes["command"])


def _work(command: list[str], asked: str) -> Work:
    told = environment_of_commands()

    def run() -> dict[str, Any]:
        printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=told).stdout
        if asked == "--help":
            return {"helped": [float("usage" in printed.lower())]}
        tasks = json.loads(printed)["tasks"]
        return {"tasks": [len(tasks) if isinstance(tasks, list) else tasks]}

    return Work(run)


def _row(name: str, title: str, command: str) -> Row:
    return Row(
        name=name,
        title=title,
        arms=(
            Arm("ours", f"{__name__}:ours", options={"command": command}),
            Arm(SLOW, f"{__name__}:whole_stack", peer=True, options={"command": command}),
        ),
        targets=(Target(at_most=AIM_SECONDS), Target(against=SLOW, at_least=10)),
        same=equal,
        prepare=prepare,
        long=True,
    )


ROWS = (
    _row("commands_help", "`cdml --help`", "--help"),
    _row("commands_status", "`cdml status`", "status"),
    _row("commands_tasks", "`cdml tasks`", "tasks"),
)
