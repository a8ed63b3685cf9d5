"""What the page of a report is made of, and what draws it: a small port, since the core draws nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from continual_dml.records import CatalogItem, NewItem, QuarantinedFile, Role, TaskSummary

REPORT_FILE, DETAILS_FILE, PAGE_FILE = "report.json", "report-details.json", "report.html"


@dataclass(frozen=True, slots=True)
class Picture:
    """Where the file of an image is, and the SHA-256 that its content must have to be shown."""

    path: str
    content_hash: str


@dataclass(frozen=True, slots=True, eq=False)
class ReportContent:
    """All that the page of a report shows.

    ``report``: see :mod:`continual_dml.reports`; ``details``: see
    :mod:`continual_dml.workflows.report_details`, None where a generation has none; ``categories``: names by
    id; ``pictures``: of images by id; ``quarantined``: files that were left out, by task and addition.
    """

    report: Mapping[str, Any]
    details: Mapping[str, Any] | None
    categories: Mapping[int, str]
    pictures: Mapping[int, Picture]
    quarantined: Sequence[tuple[str, Sequence[QuarantinedFile]]]


class ReportPainter(Protocol):
    """Draws the page of a report."""

    def paint(self, content: ReportContent) -> bytes:
        """Return the page: one file that needs no other."""


def without_items(details: Mapping[str, Any], gone: Collection[int]) -> dict[str, Any]:
    """Return details that name none of the images ``gone``; counts stay those that were measured.

    A query that only such an image made worth showing is left out with it.
    """
    removed = frozenset(gone)

    def left(queries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [
            {**one, "neighbours": [near for near in one["neighbours"] if near["item"] not in removed]}
            for one in queries
            if one["item"] not in removed
        ]

    shown = details["map"]
    stay = [place for place, item in enumerate(shown["items"]) if item not in removed]
    columns = ("items", "tasks", "categories", "x", "y")
    return {
        **details,
        "confusions": [
            {**one, "examples": [pair for pair in one["examples"] if removed.isdisjoint(_items_in(pair))]}
            for one in details["confusions"]
        ],
        "samples": left(details["samples"]),
        "worst": left([one for one in details["worst"] if one["neighbours"][0]["item"] not in removed]),
        "map": {**shown, **{name: [shown[name][place] for place in stay] for name in columns}},
    }


def pictured_items(details: Mapping[str, Any]) -> list[int]:
    """Return the ids of all images that a page of these details shows, ascending; the map shows dots only."""
    queries = [*details["samples"], *details["worst"]]
    pairs = [pair for one in details["confusions"] for pair in one["examples"]]
    return sorted(
        {one["item"] for one in queries}
        | {near["item"] for one in queries for near in one["neighbours"]}
        | {item for pair in pairs for item in _items_in(pair)}
    )


def pictures_of(
    items: Mapping[int, CatalogItem | NewItem], copy_of: Callable[[str], str]
) -> dict[int, Picture]:
    """Return where the pictures of images are; ``copy_of``: where a query's copy with a hash is."""
    return {
        number: Picture(
            copy_of(item.content_hash) if item.role is Role.QUERY else item.path, item.content_hash
        )
        for number, item in items.items()
    }


def quarantined_in(tasks: Iterable[TaskSummary]) -> list[tuple[str, Sequence[QuarantinedFile]]]:
    """Return what was left out of tasks and additions, in the order that they came in."""
    ordered = sorted(tasks, key=lambda task: task.task_id)
    return [(task.name, task.quarantined) for task in ordered if task.quarantined]


def _items_in(pair: Mapping[str, Any]) -> tuple[int, int]:
    return pair["query"], pair["nearest"]
