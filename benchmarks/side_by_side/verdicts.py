"""Which aims a measured row keeps to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.side_by_side.intervals import Interval, median_with_interval
from benchmarks.side_by_side.rows import AGAIN, OURS, Row, Target

QUIET, WILD = 0.03, 0.25
"""How far from 1 the ratio of ours to ours may lie where its interval does not reach 1: so far without a
doubt, so far where both times judge all aims alike. Where a process's memory lies moves it by a tenth."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one aim; ``processor``: the ratio of processor times, where the aim is one of time."""

    target: Target
    found: Interval
    processor: Interval | None
    met: bool


def noise(result: Mapping[str, Any]) -> Interval | None:
    """Return the time of ours over ours the second time; None where it was not taken twice."""
    figures = result["figures"]
    if AGAIN not in figures:
        return None
    return _ratio(figures[AGAIN]["seconds"], figures[OURS]["seconds"])


def is_void(row: Row, result: Mapping[str, Any]) -> bool:
    """Return whether ours differs so much from ours that nothing can be said."""
    found = noise(result)
    if found is None or found.low <= 1 <= found.high or abs(found.median - 1) <= QUIET:
        return False
    both = [[verdict.met for verdict in verdicts(row, result, ours)] for ours in (OURS, AGAIN)]
    return abs(found.median - 1) > WILD or both[0] != both[1]


def verdicts(row: Row, result: Mapping[str, Any], ours: str = OURS) -> list[Verdict]:
    """Return what came of each aim of ``row``, the first or the second time of ours."""
    judged = []
    for aim in row.targets:
        target = replace(aim, of=ours) if aim.of == OURS else aim
        found = _found(target, result, target.figure)
        timed = target.against is not None and target.figure == "seconds"
        processor = _found(target, result, "processor") if timed else None
        judged.append(Verdict(aim, found, processor, target.is_met(found.low, found.high)))
    return judged


def _found(target: Target, result: Mapping[str, Any], figure: str) -> Interval:
    figures = result["figures"]
    own = figures[target.of][figure]
    if target.against is None:
        return median_with_interval(own)
    other = figures[target.against][figure]
    return _ratio(own, other) if target.inverse else _ratio(other, own)


def _ratio(above: list[float], below: list[float]) -> Interval:
    return median_with_interval([a / b for a, b in zip(above, below, strict=True)])
