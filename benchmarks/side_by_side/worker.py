"""The process of one arm, ``worker FACTORY FOLDER SIZES``, which is asked by lines of JSON.

``{"ask": "answers", "file": F}`` runs once and writes what was computed to ``F``; ``{"ask": "time", "times":
n}`` runs n times and tells the seconds of one; ``{"ask": "profile", "file": F}`` writes where the time went.
"""

from __future__ import annotations

import cProfile
import gc
import importlib
import io
import json
import os
import pstats
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.side_by_side.rows import Work
from continual_dml.process_memory import forget_peak_memory, peak_memory_bytes

_MB = 2**20
_LEAST = 1.0
"""MB that are told of a run's memory at least: less may be the interpreter's own doing."""
_SHOWN = 30


def main() -> None:
    """Answer until there is nothing more to read."""
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not be taken for an answer
    module, _, function = sys.argv[1].partition(":")
    folder, sizes = Path(sys.argv[2]), json.loads(sys.argv[3])
    work: Work = getattr(importlib.import_module(module), function)(folder, sizes)
    print(json.dumps({"ready": True}), file=lines, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(_answer(work, asked)), file=lines, flush=True)


def _answer(work: Work, asked: dict[str, Any]) -> dict[str, Any]:
    if asked["ask"] == "profile":
        Path(asked["file"]).write_text(_profile(work))
        return {}
    return _timed(work, asked["times"], asked["keep"])


def _prepare(work: Work) -> None:
    if work.before is not None:
        work.before()


def _timed(work: Work, times: int, keep: str | None) -> dict[str, Any]:
    seconds = processor = 0.0
    memory = _LEAST
    gc.collect()  # no run pays for what another left behind
    for _ in range(times):
        _prepare(work)
        forget_peak_memory()
        there = peak_memory_bytes() or 0  # what is there now: the peak was forgotten
        used, begin = _processor(), time.perf_counter()
        answers = work.run()
        seconds += time.perf_counter() - begin
        processor += _processor() - used
        memory = max(memory, ((peak_memory_bytes() or 0) - there) / _MB)
        if keep is not None:
            np.savez(keep, **{name: np.asarray(value) for name, value in answers.items()})  # type: ignore[arg-type]
        del answers
    figures = {} if work.figures is None else dict(work.figures())
    each = work.amount * times
    return {"seconds": seconds / each, "processor": processor / each, "memory": memory, **figures}


def _processor() -> float:
    """Return the seconds that all threads and all children that have ended took."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _profile(work: Work) -> str:
    """Return where a run's time went, by Python's functions and, where torch computes, by its operators."""
    if work.profile is not None:
        return work.profile()
    _prepare(work)
    profile, text = cProfile.Profile(), io.StringIO()
    profile.runcall(work.run)
    pstats.Stats(profile, stream=text).strip_dirs().sort_stats("tottime").print_stats(_SHOWN)
    if "torch" in sys.modules:
        from torch import profiler

        _prepare(work)
        with profiler.profile(activities=[profiler.ProfilerActivity.CPU]) as seen:
            work.run()
        text.write(seen.key_averages().table(sort_by="self_cpu_time_total", row_limit=_SHOWN))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


if __name__ == "__main__":
    main()
