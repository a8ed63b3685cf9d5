"""Where the dots of the embedding map are: plain numbers, which a template draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT, MARGIN = 440, 340, 16
MOST_COLOURS = 8
MOST_LABELLED = 20
ADDED = "added without learning"


@dataclass(frozen=True, slots=True)
class Cloud:
    """The dots of one task: an SVG path, a colour, and where its label stands, None where it has none.

    ``label``: a number for a task, as everywhere on the page; ``name``: of the task.
    """

    label: str
    name: str
    items: int
    path: str
    style: int
    centre: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class EmbeddingMap:
    """A drawn map. ``in_order``: colours run from the first to the last task, not one for each."""

    clouds: list[Cloud]
    items: int
    explained: tuple[float, float]
    in_order: bool
    width: int = WIDTH
    height: int = HEIGHT


def embedding_map(found: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]]) -> EmbeddingMap | None:
    """Lay out the map of a report's details, one cloud for each task; None where there is nothing to show.

    Args:
        found: ``map`` of the details.
        tasks: of the report, in the order learned; what is of no task was added without learning.
    """
    if not found["items"]:
        return None
    number_of = {task["id"]: number for number, task in enumerate(tasks)}
    members: dict[int, list[tuple[float, float]]] = {}
    placed = _placed(found["x"], found["y"])
    for task, place in zip(found["tasks"], placed, strict=True):
        members.setdefault(number_of.get(task, len(tasks)), []).append(place)
    in_order = len(members) > MOST_COLOURS
    clouds = []
    for number, places in sorted(members.items()):
        known = number < len(tasks)
        style = number * (MOST_COLOURS - 1) // max(1, len(tasks)) if in_order else number % MOST_COLOURS
        clouds.append(
            Cloud(
                label=str(number + 1) if known else "+",
                name=tasks[number]["name"] if known else ADDED,
                items=len(places),
                path="".join(f"M{x:g} {y:g}h0" for x, y in places),
                style=style,
                centre=_centre(places) if len(members) <= MOST_LABELLED else None,
            )
        )
    first, second = found["explained_variance"]
    return EmbeddingMap(clouds, len(found["items"]), (first, second), in_order)


def _placed(x: Sequence[float], y: Sequence[float]) -> list[tuple[float, float]]:
    """Return the dots in the picture, both axes in the same scale."""
    wide, high = max(x) - min(x), max(y) - min(y)
    scale = min((WIDTH - 2 * MARGIN) / wide if wide else 1e9, (HEIGHT - 2 * MARGIN) / high if high else 1e9)
    scale = 0.0 if scale == 1e9 else scale
    left = (WIDTH - scale * wide) / 2 - scale * min(x)
    top = (HEIGHT - scale * high) / 2 + scale * max(y)
    return [(round(left + scale * a, 1), round(top - scale * b, 1)) for a, b in zip(x, y, strict=True)]


def _centre(places: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the middle of the dots, by medians: a few that are far off do not move it."""
    middle = len(places) // 2
    return sorted(x for x, _ in places)[middle], sorted(y for _, y in places)[middle]
