"""Where the lines of a chart run: plain numbers, which a template draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

WIDTH, HEIGHT = 440, 270
LEFT, RIGHT, TOP, BOTTOM = 40, 132, 24, 36
LABEL_HEIGHT = 15
INDENT = 20
MOST_MARKED = 12
"""A line over more places has a mark at its end only."""
MOST_TICKS = 8
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Series:
    """A line: its name, values by place, None where unknown; ``style``: number of its colour, None for faint.

    ``text_above``: whether figures beside its points stand above them; ``number``: stands before the name.
    """

    name: str
    values: Sequence[float | None]
    style: int | None
    text_above: bool | None = None
    number: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A point of a line and the figure that stands beside it, empty where none does."""

    x: float
    y: float
    text: str
    text_y: float


@dataclass(frozen=True, slots=True)
class Line:
    """A drawn line: SVG path, its marks, and its label where it has one."""

    path: str
    marks: list[Mark]
    style: int | None
    number: str
    name: str
    end: Point
    label_y: float | None = None


@dataclass(frozen=True, slots=True)
class Curves:
    """A drawn chart; ticks are places with their texts."""

    lines: list[Line]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    x_title: str
    width: int = field(default=WIDTH)
    height: int = field(default=HEIGHT)
    left: int = field(default=LEFT)
    right: int = field(default=WIDTH - RIGHT)
    bottom: int = field(default=HEIGHT - BOTTOM)


def curves(series: Sequence[Series], places: Sequence[str], x_title: str) -> Curves:
    """Lay out lines over the same places from left to right; the lowest value decides where the axis begins.

    Args:
        series: each as long as ``places``; those without a colour are drawn first.
        places: what stands below each place.
        x_title: what the places are.
    """
    known = [value for one in series for value in one.values if value is not None]
    steps = min(10, max(2, math.ceil(10 - min(known, default=0.0) * 10 + 0.5)))
    every = 1 if steps <= 5 else 2
    steps += steps % every
    low = 1 - steps / 10
    ordered = sorted(series, key=lambda one: one.style is not None)
    lines = [_line(one, len(places), low) for one in ordered]
    thinned = max(1, math.ceil(len(places) / MOST_TICKS))
    return Curves(
        lines=_labelled(lines),
        x_ticks=[(_x(place, len(places)), text) for place, text in enumerate(places) if place % thinned == 0],
        y_ticks=[(_y(low + step / 10, low), f"{low + step / 10:.1f}") for step in range(0, steps + 1, every)],
        x_title=x_title,
    )


def _line(series: Series, places: int, low: float) -> Line:
    points = [
        (_x(place, places), _y(value, low), value)
        for place, value in enumerate(series.values)
        if value is not None
    ]
    above = series.text_above
    marks = [
        Mark(x, y, "" if above is None else f"{value:.3f}", y - 9 if above else y + 19)
        for x, y, value in points
    ]
    if places > MOST_MARKED:
        marks = marks[-1:]
    path = " ".join(f"{'L' if place else 'M'}{x:g} {y:g}" for place, (x, y, _) in enumerate(points))
    end = points[-1][:2] if points else (0.0, 0.0)
    return Line(path, marks, series.style, series.number, series.name, end)


def _labelled(lines: Sequence[Line]) -> list[Line]:
    """Give each coloured line a label at its end, moved apart where ends lie close together."""
    order = sorted(
        (place for place, line in enumerate(lines) if line.style is not None and line.marks),
        key=lambda place: lines[place].end[1],
    )
    heights: dict[int, float] = {}
    lowest = HEIGHT - BOTTOM - LABEL_HEIGHT * (len(order) - 1)
    previous = -math.inf
    for rank, place in enumerate(order):
        wanted = max(lines[place].end[1], previous + LABEL_HEIGHT)
        previous = heights[place] = min(wanted, lowest + rank * LABEL_HEIGHT)
    return [
        replace(line, label_y=round(heights[place], 1)) if place in heights else line
        for place, line in enumerate(lines)
    ]


def _x(place: int, places: int) -> float:
    span = WIDTH - LEFT - RIGHT - 2 * INDENT
    return round(LEFT + INDENT + span * (place / (places - 1) if places > 1 else 0.5), 1)


def _y(value: float, low: float) -> float:
    return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (1 - low), 1)
