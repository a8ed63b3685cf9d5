"""Curves of what grows with what, as Markdown, and their slopes on logarithmic scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from statistics import linear_regression
from typing import Any

LEAST = 1e-3
"""Seconds, megabytes: less than this counts as this, because nothing has no logarithm."""
CONSTANT = 0.1
"""So flat must be what may not grow: a tenth of the digits that its cause gains."""


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the straight line nearest to the logarithms of ``points``, x and y.

    >>> round(slope([(1.0, 3.0), (10.0, 30.0), (100.0, 300.0)]), 3)
    1.0
    >>> round(slope([(1.0, 3.0), (10.0, 3.0)]), 3)
    0.0
    """
    return linear_regression([log(x) for x, _ in points], [log(max(y, LEAST)) for _, y in points]).slope


def curve_table(curve: Mapping[str, Any], most: Mapping[str, float]) -> list[str]:
    """Return the lines of a curve's table.

    Args:
        curve: ``of``, what grows; ``points``, each with its ``at`` and its ``figures`` by name.
        most: slope that a figure may have; what is not named may have any.
    """
    points = curve["points"]
    places = [point["at"] for point in points]
    lines = [
        f"| {curve['of']} | {' | '.join(f'{place:,}' for place in places)} | slope | of the last two | |",
        "|---" + "|---:" * (len(places) + 2) + "|---|",
    ]
    for name in points[0]["figures"]:
        values = [point["figures"][name] for point in points]
        pairs = list(zip(places, values, strict=True))
        whole, last = slope(pairs), slope(pairs[-2:])
        cells = [_shown(value) for value in values] + [f"{whole:.2f}", f"{last:.2f}"]
        lines.append(f"| {name} | {' | '.join(cells)} | {_judged(max(whole, last), most.get(name))} |")
    return lines


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _judged(found: float, most: float | None) -> str:
    if most is None:
        return ""
    return f"at most {most:g}" if found <= most else f"**more than {most:g}**"
