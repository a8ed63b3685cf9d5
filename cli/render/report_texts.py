"""A report as text: for a terminal, as Markdown, and as one flat line of CSV for each figure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from cli.render.amounts import counted
from cli.render.gates import gate_line
from cli.render.matrices import (
    compatibility_table,
    definitions,
    matrix_table,
    members_table,
    parts_table,
    summary_table,
    without_positive,
)
from cli.render.precisions import precision_text
from cli.render.tables import NUMERIC, Table, paragraph
from cli.render.thresholds import doubtful_categories, threshold_text
from cli.shell import printable
from continual_dml.errors import UnknownChoice

COLUMNS = ("metric", "scope", "k", "after_task", "of_task", "value", "after_task_name", "of_task_name")
_MARKS = re.compile(r"([\\`*_{}\[\]<>#|~&])")
_FORMULA = ("=", "+", "-", "@")


def report_text(
    report: Mapping[str, Any], k: int, draw: Callable[[Table], str], *, live: bool
) -> Iterator[str]:
    """Yield the paragraphs of a report for people.

    Args:
        report: with categories by name.
        k: whose Recall@K matrix is shown.
        draw: makes text of a table.
        live: whether its generation is.

    Raises:
        UnknownChoice: Recall@K was not measured at this K.
    """
    if str(k) not in report["recall_at_k"]:
        raise UnknownChoice("K", str(k), report["recall_at_k"])
    yield f"generation {report['generation']}{'' if live else ', not live'}"
    gate = gate_line(report, live=live)
    if gate is not None:
        yield printable(gate)
    yield from _since(report)
    for table in _tables(report, k):
        yield draw(table)
    missing = without_positive(report)
    for text in (threshold_text(report), precision_text(report)):
        if text is not None:
            yield paragraph(text)
    if missing:
        yield missing
    yield definitions(report, list(report["definitions"]))


def report_markdown(report: Mapping[str, Any], k: int, *, live: bool) -> str:
    """Return a report as Markdown; arguments and errors as of :func:`report_text`."""
    if str(k) not in report["recall_at_k"]:
        raise UnknownChoice("K", str(k), report["recall_at_k"])
    blocks = [f"# Report of generation {report['generation']}{'' if live else ', not live'}"]
    gate = gate_line(report, live=live)
    texts = (threshold_text(report), precision_text(report), without_positive(report))
    blocks += [_plain(gate)] if gate is not None else []
    blocks += map(_plain, _since(report))
    blocks += map(markdown_of, _tables(report, k))
    blocks += [_plain(one) for one in texts if one is not None]
    blocks.append("\n".join(f"- {_plain(one)}" for one in report["definitions"].values()))
    return "\n\n".join(blocks) + "\n"


def markdown_of(table: Table) -> str:
    r"""Return a table as Markdown below its title; no name can be taken for a mark.

    >>> print(markdown_of(Table("Gallery", ["", "items"], [["a|b", "12"]])))
    ## Gallery
    <BLANKLINE>
    |  | items |
    |:--|--:|
    | a\|b | 12 |
    """
    columns = range(len(table.headings))
    figures = [
        column and table.rows and all(NUMERIC.issuperset(row[column]) for row in table.rows)
        for column in columns
    ]
    sides = ["--:" if flush else ":--" for flush in figures]
    rows = [table.headings, *table.rows]
    lines = [f"| {' | '.join(map(_plain, row))} |" for row in rows]
    return "\n".join([f"## {_plain(table.title)}", "", lines[0], f"|{'|'.join(sides)}|", *lines[1:]])


def report_csv(report: Mapping[str, Any]) -> str:
    """Return a header and a line for each figure; tasks are counted from 1 in the order learned.

    ``after_task``: how many tasks were learned then; ``of_task``: whose queries were asked, empty for a mean
    over all tasks; ``scope``: the gallery, ``merged`` or ``within``. What was not measured has no line.
    """
    names = [task["name"] for task in report["tasks"]]
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(COLUMNS)
    for metric, scope, k, after, of, value in _figures(report):
        if value is not None:
            named = [_cell(names[number - 1]) if number else "" for number in (after, of)]
            lines.writerow([metric, scope, k or "", after, of or "", value, *named])
    return text.getvalue()


def _figures(
    report: Mapping[str, Any],
) -> Iterator[tuple[str, str, int | None, int, int | None, float | None]]:
    last = len(report["tasks"])
    for scope, found in (("merged", report), ("within", report["within_task"])):
        for k, rows in found["recall_at_k"].items():
            yield from _matrix("recall", scope, int(k), rows)
        yield from _matrix("r_precision", scope, None, found["r_precision"])
        yield from _matrix("map_at_r", scope, None, found["map_at_r"])
        for k, values in found["summary"].items():
            for name in ("average", "forgetting", "backward_transfer"):
                yield f"{name}_recall", scope, int(k), last, None, values[name]
    for number, task in enumerate(report["tasks"], start=1):
        asked = report["queries"].get(str(task["id"]))
        if asked is not None:
            yield "queries", "merged", None, last, number, asked["measured"]
            yield "queries_without_positive", "merged", None, last, number, asked["without_positive"]


def _matrix(
    metric: str, scope: str, k: int | None, rows: Sequence[Sequence[float | None]]
) -> Iterator[tuple[str, str, int | None, int, int | None, float | None]]:
    for after, row in enumerate(rows, start=1):
        for of, value in enumerate(row, start=1):
            yield metric, scope, k, after, of, value


def _since(report: Mapping[str, Any]) -> Iterator[str]:
    if "deleted_since" in report:
        gone = report["deleted_since"]
        counts = f"{gone['gallery']} gallery and {gone['query']} query images"
        yield f"{counts} were deleted since this was measured"
    if "added_since" in report:
        more = report["added_since"]
        images = counted(more["gallery"], "image was", "images were")
        categories = counted(more["new_categories"], "category", "categories")
        yield f"{images} added since this was measured, with {categories} new among them"


def _tables(report: Mapping[str, Any], k: int) -> Iterator[Table]:
    names = [task["name"] for task in report["tasks"]]
    for title, rows in (
        (f"Recall@{k}, gallery of all tasks", report["recall_at_k"][str(k)]),
        (f"Recall@{k}, within the task", report["within_task"]["recall_at_k"][str(k)]),
        ("R-precision, gallery of all tasks", report["r_precision"]),
        ("MAP@R, gallery of all tasks", report["map_at_r"]),
    ):
        yield matrix_table(title, rows, names)
    yield summary_table(report)
    maybe = (members_table(report), compatibility_table(report), parts_table(report))
    yield from (table for table in (*maybe, doubtful_categories(report)) if table is not None)


def _plain(text: str) -> str:
    """Return text for Markdown, where no letter of it is a mark."""
    return _MARKS.sub(r"\\\1", printable(text))


def _cell(text: str) -> str:
    """Return a name for a spreadsheet, which must not take it for a formula."""
    shown = printable(text)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown
