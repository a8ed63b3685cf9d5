"""Runs the arms of a row in turn."""

from __future__ import annotations

import math
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import fmean, median
from typing import Any

from benchmarks.side_by_side.processes import ArmProcess
from benchmarks.side_by_side.rows import Row

Figures = dict[str, list[float]]
"""By name of the figure, one value for each round."""


def measure(
    row: Row,
    folder: Path,
    *,
    quick: bool,
    profile_into: Path | None = None,
    before: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what :mod:`benchmarks.side_by_side.verdicts` reads: the figures of each arm by round.

    Ends the program where two arms computed different things.

    Args:
        row: what is measured.
        folder: what its arms read, see :mod:`benchmarks.side_by_side.preparing`.
        quick: smaller sizes, a single round, and ours not a second time.
        profile_into: where a profile of our arm is written; None for none.
        before: what was measured of a long row: one more round is added to it.
    """
    done = 0 if before is None else before["rounds"]
    rounds = done + 1 if quick or before is not None else row.rounds
    wanted = row.arms if quick else row.all_arms()
    sizes = row.sized(quick=quick)
    with tempfile.TemporaryDirectory(prefix="cdml-bench-") as scratch, ExitStack() as open_arms:
        arms: list[ArmProcess] = []
        for arm in wanted:
            arms.append(ArmProcess(arm, folder, sizes, Path(scratch)))
            open_arms.callback(arms[-1].close)
        if not row.long:
            _require_same(row, arms)
        times = [1 if row.long else _times(arm, row.shortest) for arm in arms]
        figures: list[Figures] = [_figures_of(arm.arm.name, before) for arm in arms]
        for number in range(done, rounds):
            for found, taken in zip(
                figures, _round(arms, times, _order(len(arms), number, long=row.long)), strict=True
            ):
                for name in taken[0]:
                    found.setdefault(name, []).append(fmean(one[name] for one in taken))
            print(f"{row.name}: round {number + 1} of {rounds}", file=sys.stderr, flush=True)
            if row.long and number == done:
                _require_same(row, arms)
        if profile_into is not None:
            profile_into.parent.mkdir(parents=True, exist_ok=True)
            arms[0].profile(profile_into)
    return {
        "row": row.name,
        "quick": quick,
        "sizes": sizes,
        "rounds": rounds,
        "times": {arm.arm.name: count for arm, count in zip(arms, times, strict=True)},
        "load": round(os.getloadavg()[0], 2),
        "figures": {arm.arm.name: found for arm, found in zip(arms, figures, strict=True)},
    }


def _figures_of(arm: str, before: Mapping[str, Any] | None) -> Figures:
    return {} if before is None else {name: list(values) for name, values in before["figures"][arm].items()}


def _order(arms: int, number: int, *, long: bool) -> list[int]:
    """Return the places of the arms in the order in which a round asks them."""
    forth = list(range(arms))
    if long:
        return forth if number % 2 == 0 else forth[::-1]
    return [*forth, *reversed(forth)]


def _round(arms: list[ArmProcess], times: list[int], order: list[int]) -> list[list[dict[str, float]]]:
    """Return the figures of each arm's runs."""
    taken: list[list[dict[str, float]]] = [[] for _ in arms]
    for place in order:
        taken[place].append(arms[place].time(times[place]))
    return taken


def _require_same(row: Row, arms: list[ArmProcess]) -> None:
    ours = arms[0].answers()
    for other in arms[1:]:
        difference = row.same(ours, other.answers())
        if difference is not None:
            sys.exit(f"{row.name}: ours and '{other.arm.name}' computed different things: {difference}")


def _times(arm: ArmProcess, shortest: float) -> int:
    """Return how often an arm's work is repeated so that a timed run lasts ``shortest`` seconds."""
    begin = time.perf_counter()
    arm.time(1)
    once = time.perf_counter() - begin
    return max(1, math.ceil(shortest / max(once, 1e-4)))


def median_of(figures: Mapping[str, Figures], arm: str, name: str) -> float:
    """Return the median over rounds of an arm's figure."""
    return median(figures[arm][name])
