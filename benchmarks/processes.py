"""Commands in a process of their own, and what the system says that they took."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NOT_JUDGED = ("--min-recall", "0", "--max-forgetting", "1")
"""Of an ingest: whatever little it learns, its gate lets it pass."""
DONE = (0, 3)
"""Exit codes of a command that did what it was asked; 3: with files in quarantine."""


_STARTER = Path(__file__).with_name("measured_command.py")


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command printed, its seconds on the clock and of the processor, and its peak memory in MB."""

    output: str
    clock: float
    processor: float
    peak: float

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document that it printed."""
        found: dict[str, Any] = json.loads(self.output)
        return found


def environment_of_commands() -> dict[str, str]:
    """Return the environment as a user has it.

    That is without what is said to benchmarks, because cdml refuses variables unknown to it, and with modules
    that are compiled once: every installation keeps them, whatever a developer's machine does.
    """
    known = {name: value for name, value in os.environ.items() if not name.startswith("CDML_BENCH_")}
    known.pop("PYTHONDONTWRITEBYTECODE", None)
    return known


def measured(*command: str, accepted: Sequence[int] = (0,)) -> Ran:
    """Run a command; the benchmark ends where its exit code is not ``accepted``."""
    with tempfile.NamedTemporaryFile("r", suffix=".json") as report:
        started = [sys.executable, "-I", "-S", str(_STARTER), report.name, *command]
        done = subprocess.run(
            started, stdout=subprocess.PIPE, text=True, env=environment_of_commands(), check=False
        )
        if done.returncode not in accepted:
            sys.exit(f"{' '.join(command)} ended with {done.returncode}")
        return Ran(done.stdout, **json.load(report))


def cdml(*arguments: str, accepted: Sequence[int] = (0,)) -> Ran:
    """Run a command of cdml; the benchmark ends where its exit code is not ``accepted``."""
    return measured(sys.executable, "-m", "cli.app", "--json", "-q", *arguments, accepted=accepted)
