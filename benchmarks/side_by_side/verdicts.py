"""Which aims a measured row keeps to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.side_by_side.intervals import Interval, median_with_interval
from benchmarks.side_by_side.rows import AGAIN, OURS, Row, Target

QUIET = 0.03
"""So far from 1 may the ratio of ours to ours lie, where its interval does not reach 1."""


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


def is_void(result: Mapping[str, Any]) -> bool:
    """Return whether the machine was so unquiet that ours differs from ours."""
    found = noise(result)
    return found is not None and not (found.low <= 1 <= found.high) and abs(found.median - 1) > QUIET


def verdicts(row: Row, result: Mapping[str, Any]) -> list[Verdict]:
    """Return what came of each aim of ``row``."""
    judged = []
    for target in row.targets:
        found = _found(target, result, target.figure)
        timed = target.against is not None and target.figure == "seconds"
        processor = _found(target, result, "processor") if timed else None
        judged.append(Verdict(target, found, processor, target.is_met(found.low, found.high)))
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
