"""All that the template of a page needs, put together from a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from cli.render.amounts import seconds
from cli.render.benchmark_style import shortened
from cli.render.matrices import compatibility_table, members_table, parts_table, without_positive
from cli.render.report_page.curves import Curves, Series, curves
from cli.render.report_page.embedding_map import MOST_COLOURS, embedding_map
from cli.render.report_page.headline import headline, since_measured
from cli.render.report_page.losses import TaskLoss, task_losses
from cli.render.report_page.retrievals import Retrievals
from cli.render.tables import Table
from cli.render.thresholds import doubtful_categories, threshold_text
from cli.shell import printable
from continual_dml.report_pages import ReportContent

LEVELS = 20
MOST_LOSSES = 15
MOST_LEFT_OUT = 200
LONGEST_LABEL = 12


@dataclass(frozen=True, slots=True)
class HeatCell:
    """A figure and how dark its cell is, 0 to :data:`LEVELS`; None for a task that was not learned yet."""

    text: str
    level: int | None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that was left out: of which task, the end of its path, and why."""

    task: str
    file: str
    reason: str


def page_view(content: ReportContent, retrievals: Retrievals | None) -> dict[str, object]:
    """Return what stands for what in the template.

    Args:
        content: of the page.
        retrievals: its details with names, None where there are none.
    """
    report = _named(content)
    tasks = [task["name"] for task in report["tasks"]]
    text, doubtful = threshold_text(report), doubtful_categories(report)
    losses = [one for one in task_losses(report) if one.lost is not None]
    merged, within = report["recall_at_k"].get("1", []), report["within_task"]["recall_at_k"].get("1", [])
    details = content.details
    left_out = _left_out(content)
    return {
        "report": report,
        "tasks": tasks,
        "sentences": headline(report),
        "since": since_measured(report),
        "merged": _heat(merged),
        "within": _heat(within),
        "over_tasks": _over_tasks(merged, tasks, losses) if merged else None,
        "coloured": MOST_COLOURS,
        "over_k": _over_k(report),
        "over_k_table": _over_k_table(report),
        "losses": sorted(losses, key=lambda one: -(one.lost or 0.0))[:MOST_LOSSES],
        "more_losses": max(0, len(losses) - MOST_LOSSES),
        "widest": max([abs(one.lost or 0.0) for one in losses], default=0.0) or 1.0,
        "retrievals": retrievals,
        "map": None if details is None else embedding_map(details["map"], report["tasks"]),
        "details_generation": None if details is None else details["generation"],
        "compatibility": compatibility_table(report),
        "drift": _drift_table(report),
        "parts": parts_table(report),
        "members": members_table(report),
        "threshold": text,
        "doubtful": doubtful,
        "without_positive": without_positive(report),
        "timings": [(name, seconds(value), value) for name, value in report["seconds"].items()],
        "longest": max(report["seconds"].values(), default=0.0) or 1.0,
        "left_out": left_out[:MOST_LEFT_OUT],
        "more_left_out": max(0, len(left_out) - MOST_LEFT_OUT),
        "definitions": [text.partition(": ")[::2] for text in report["definitions"].values()],
    }


def _named(content: ReportContent) -> Mapping[str, Any]:
    """Return the report with the names of categories where a threshold speaks of them."""
    found = content.report.get("no_match", {})
    if not found.get("categories"):
        return content.report
    named = {
        number: {"name": content.categories.get(int(number), number), **one}
        for number, one in found["categories"].items()
    }
    return {**content.report, "no_match": {**found, "categories": named}}


def _left_out(content: ReportContent) -> list[LeftOut]:
    return [
        LeftOut(task, _end_of(file.path), file.reason)
        for task, files in content.quarantined
        for file in files
    ]


def _heat(rows: Sequence[Sequence[float | None]]) -> list[list[HeatCell]]:
    return [
        [
            *[
                HeatCell("-", 0) if value is None else HeatCell(f"{value:.2f}", round(value * LEVELS))
                for value in row
            ],
            *[HeatCell("", None)] * (len(rows) - len(row)),
        ]
        for row in rows
    ]


def _over_tasks(
    rows: Sequence[Sequence[float | None]], tasks: Sequence[str], losses: Sequence[TaskLoss]
) -> Curves:
    """Return one line per task; with many tasks only those that lost most, and the newest, have a colour."""
    chosen = list(range(len(tasks)))
    if len(tasks) > MOST_COLOURS:
        most = sorted(losses, key=lambda one: -(one.lost or 0.0))[: MOST_COLOURS - 1]
        chosen = sorted({len(tasks) - 1, *(one.number - 1 for one in most)})
    series = [
        Series(
            shortened(printable(name), LONGEST_LABEL),
            [*[None] * column, *(row[column] for row in rows[column:])],
            chosen.index(column) if column in chosen else None,
            number=f"{column + 1} ",
        )
        for column, name in enumerate(tasks)
    ]
    return curves(series, [str(number) for number in range(1, len(tasks) + 1)], "after learning task")


def _over_k(report: Mapping[str, Any]) -> Curves:
    merged, within = report["summary"], report["within_task"]["summary"]
    ks = sorted(merged, key=int)
    return curves(
        [
            Series("all tasks", [merged[k]["average"] for k in ks], 0, text_above=False),
            Series("within task", [within[k]["average"] for k in ks], 1, text_above=True),
        ],
        ks,
        "K",
    )


def _over_k_table(report: Mapping[str, Any]) -> list[tuple[str, float | None, float | None]]:
    merged, within = report["summary"], report["within_task"]["summary"]
    return [(k, merged[k]["average"], within[k]["average"]) for k in sorted(merged, key=int)]


def _drift_table(report: Mapping[str, Any]) -> Table | None:
    """Return how the drift map of each network was chosen; None where nothing moved."""
    if not report.get("drift"):
        return None
    rows = [
        [
            str(number),
            "none: as they were comes closer" if one["strength"] is None else f"{one['strength']:g}",
            _figure(one["uncorrected"]),
            _figure(dict(map(tuple, one["errors"])).get(one["strength"], one["uncorrected"])),
            _figure(one["found_uncorrected"]),
            _figure(one["found"]),
        ]
        for number, one in enumerate(report["drift"])
    ]
    headings = [
        "network", "strength of the map", "error without", "error with", "found without", "found with"
    ]  # fmt: skip
    return Table("Drift map, judged on categories that it was not fitted to", headings, rows)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _end_of(path: str) -> str:
    """Return folder and name of a file: pages are passed on, and where a folder lies is nobody's business."""
    return str(PurePath(*PurePath(path).parts[-2:]))
