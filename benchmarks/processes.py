"""Commands in a process of their own, and what the system says that they took."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

NOT_JUDGED = ("--min-recall", "0", "--max-forgetting", "1")
"""Of an ingest: whatever little it learns, its gate lets it pass."""
DONE = (0, 3)
"""Exit codes of a command that did what it was asked; 3: with files in quarantine."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command printed, its seconds on the clock and of the processor, and its peak memory in MB."""

    document: dict[str, Any]
    clock: float
    processor: float
    peak: float


def environment_of_commands() -> dict[str, str]:
    """Return the environment as a user has it.

    That is without what is said to benchmarks, because cdml refuses variables unknown to it, and with modules
    that are compiled once: every installation keeps them, whatever a developer's machine does.
    """
    known = {name: value for name, value in os.environ.items() if not name.startswith("CDML_BENCH_")}
    known.pop("PYTHONDONTWRITEBYTECODE", None)
    return known


def cdml(*arguments: str, accepted: Sequence[int] = (0,)) -> Ran:
    """Run a command of cdml; the benchmark ends where its exit code is not ``accepted``."""
    command = [sys.executable, "-m", "cli.app", "--json", "-q", *arguments]
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment_of_commands())
    output = process.stdout.read() if process.stdout else ""
    _, status, used = os.wait4(process.pid, 0)
    clock = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in accepted:
        sys.exit(f"cdml {arguments[0]} ended with {process.returncode}")
    return Ran(json.loads(output), clock, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
