"""Tables for people: drawn by rich on a terminal, plain aligned text in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from cli.shell import printable

NUMERIC = frozenset("0123456789+-.,% ")


@dataclass(frozen=True, slots=True)
class Table:
    """A title, a heading per column and rows of texts; columns of numbers are set flush right.

    ``first_of_group`` are the rows before which a terminal draws a line.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    first_of_group: Sequence[int] = field(default=())


def rendered(table: Table) -> str:
    """Return the table as text for stdout as it is now: a terminal, or not."""
    return _drawn(_clean(table)) if sys.stdout.isatty() else plain(table)


def plain(table: Table) -> str:
    """Return the table as aligned text, for a pipe or a file."""
    return _plain(_clean(table))


def paragraph(text: str) -> str:
    """Return ``text`` wrapped for people to read, continuation lines indented."""
    import textwrap

    return textwrap.fill(printable(text), width=100, subsequent_indent="  ")


def _clean(table: Table) -> Table:
    return Table(
        printable(table.title),
        [printable(heading) for heading in table.headings],
        [[printable(cell) for cell in row] for row in table.rows],
        table.first_of_group,
    )


def _plain(table: Table) -> str:
    widths = [max(map(len, column)) for column in zip(table.headings, *table.rows, strict=True)]
    right = [_is_numeric(table, column) for column in range(len(widths))]
    lines = [
        "  ".join(
            cell.rjust(width) if flush else cell.ljust(width)
            for cell, width, flush in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in chain([table.headings], table.rows)
    ]
    return "\n".join([table.title, *lines]) if table.title else "\n".join(lines)


def _drawn(table: Table) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    drawing = RichTable(title=Text(table.title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column, heading in enumerate(table.headings):
        drawing.add_column(Text(heading), justify="right" if _is_numeric(table, column) else "left")
    for number, row in enumerate(table.rows):
        if number in table.first_of_group and number:
            drawing.add_section()
        drawing.add_row(*[Text(cell) for cell in row])
    console = Console(highlight=False)
    with console.capture() as capture:
        console.print(drawing)
    return capture.get().rstrip("\n")


def _is_numeric(table: Table, column: int) -> bool:
    cells = [row[column] for row in table.rows if row[column] not in ("", "-")]
    return bool(cells) and all(NUMERIC.issuperset(cell) for cell in cells)
