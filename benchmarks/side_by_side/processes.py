"""An arm's process, seen from the one that asks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.side_by_side.rows import Answers, Arm, Sizes

ROOT = Path(__file__).resolve().parents[2]
_POOLS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def peers_python() -> Path:
    """Return the interpreter of the peers' environment, which ``make bench`` makes."""
    return Path(os.environ.get("CDML_BENCH_PEERS", ROOT / ".venv-peers")) / "bin/python"


class ArmProcess:
    """One arm at work, in a process that does nothing until it is asked.

    Args:
        arm: which way to do it.
        folder: what all arms read.
        sizes: of the work.
        scratch: where answers go.
    """

    def __init__(self, arm: Arm, folder: Path, sizes: Sizes, scratch: Path) -> None:
        python = peers_python() if arm.peer else Path(sys.executable)
        if not python.is_file():
            sys.exit(f"no environment of the peers at {python.parent.parent}: `make bench` makes it")
        told = json.dumps({**sizes, **arm.options, "threads": arm.threads})
        command = [str(python), "-m", "benchmarks.side_by_side.worker", arm.factory, str(folder), told]
        pools = dict.fromkeys(_POOLS, str(arm.threads))
        environment = {**os.environ, **pools, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.arm = arm
        self._file = scratch / f"{abs(hash(arm.name))}.npz"
        self._read()

    def answers(self) -> Answers:
        """Return what the first run computed; run once where there was none."""
        if not self._file.exists():
            self.time(1)
        with np.load(self._file) as found:
            return {name: found[name] for name in found.files}

    def time(self, times: int) -> dict[str, float]:
        """Run so many times; return the figures of one unit. What the first run ever computed is kept."""
        keep = None if self._file.exists() else str(self._file)
        return self._ask({"ask": "time", "times": times, "keep": keep})

    def profile(self, file: Path) -> None:
        """Write where a run's time goes."""
        self._ask({"ask": "profile", "file": str(file.resolve())})

    def close(self) -> None:
        """Let the process end."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        self._process.wait()

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        if self._process.stdin is not None:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            self.close()
            code = self._process.returncode
            sys.exit(f"arm '{self.arm.name}' ended with {code}: what it wrote stands above")
        answer: dict[str, Any] = json.loads(line)
        return answer
