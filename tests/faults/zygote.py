"""Runs scenarios in forked children: imports are paid once, and a tracer attaches before anything happens.

As a program (``python -m tests.faults.zygote``) it reads one JSON line per job from stdin and answers twice:
with the child's number once it waits at its gate, and with how it ended.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import final

ACKNOWLEDGED, REFUSED, UNEXPECTED = 0, 1, 70
_ANY_TRACER = (0x59616D61, -1)  # prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY)
_STRACE = ("strace", "--follow-forks", "--attach")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: its exit code (negative for a signal) and what it said."""

    code: int
    message: str

    @property
    def acknowledged(self) -> bool:
        """Whether the operation told its user that it is done."""
        return self.code == ACKNOWLEDGED

    @property
    def unexpected(self) -> bool:
        """Whether it ended with an error that is none of cdml's own."""
        return self.code == UNEXPECTED


@final
class Zygote:
    """Context manager around the program of this module.

    Args:
        trains: whether scenarios train a network, for which torch is imported.
    """

    def __init__(self, *, trains: bool = False) -> None:
        self._options = ["--trains"] if trains else []

    def __enter__(self) -> Zygote:
        root = Path(__file__).parents[2]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote", *self._options],
            cwd=root,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def run(
        self, scenario: str, folder: Path, strace: Sequence[str] = (), mutant: str | None = None
    ) -> Ended:
        """Act in ``folder``; with options for strace, under it from the first call on."""
        gate, said = folder.with_name(f"{folder.name}.gate"), folder.with_name(f"{folder.name}.said")
        os.mkfifo(gate)
        self._tell({"scenario": scenario, "folder": str(folder), "gate": str(gate), "said": str(said),
                    "mutant": mutant})  # fmt: skip
        child = int(self._answer()["child"])
        tracer = _attach(child, strace) if strace else None
        gate.write_bytes(b"go")
        ended = Ended(int(self._answer()["code"]), said.read_text() if said.exists() else "")
        if tracer is not None:
            tracer.communicate()
        for path in (gate, said):
            path.unlink(missing_ok=True)
        return ended

    def _tell(self, job: dict[str, str | None]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()

    def _answer(self) -> dict[str, int]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the program that runs scenarios has ended")
        answer: dict[str, int] = json.loads(line)
        return answer


def _attach(child: int, options: Sequence[str]) -> subprocess.Popen[str]:
    tracer = subprocess.Popen([*_STRACE, str(child), *options], stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    said = tracer.stderr.readline()
    if not re.search(r"attached", said):
        tracer.kill()
        raise RuntimeError(f"strace cannot trace here: {said}{tracer.stderr.read()}")
    return tracer


def _child(job: dict[str, str]) -> int:
    """Wait at the gate, act, and say what went wrong; returns the exit code."""
    from continual_dml.errors import CdmlError
    from tests.faults.mutants import MUTANTS
    from tests.faults.whole_ingest import ALL_SCENARIOS

    if job["mutant"]:
        MUTANTS[job["mutant"]].apply()
    ctypes.CDLL(None).prctl(*_ANY_TRACER)
    Path(job["gate"]).read_bytes()
    try:
        ALL_SCENARIOS[job["scenario"]].act(Path(job["folder"]))
    except CdmlError as error:
        return _say(job, REFUSED, str(error))
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
        import traceback

        return _say(job, UNEXPECTED, "".join(traceback.format_exception(error)))
    return ACKNOWLEDGED


def _say(job: dict[str, str], code: int, message: str) -> int:
    Path(job["said"]).write_text(message)
    return code


def _serve(*, trains: bool) -> None:
    """Import first what a child needs, so that none has to."""
    import tests.faults.mutants
    import tests.faults.whole_ingest

    if trains:
        tests.faults.whole_ingest.import_all()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os._exit(_child(json.loads(line)))
        print(json.dumps({"child": child}), flush=True)
        _, status = os.waitpid(child, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)


if __name__ == "__main__":
    _serve(trains="--trains" in sys.argv)
