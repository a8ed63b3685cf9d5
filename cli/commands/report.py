"""``cdml report``: what was gained and what was forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from cli import report_options
from cli.shell import entered

if TYPE_CHECKING:
    from storage.workspace import Workspace


def report(
    context: typer.Context,
    form: report_options.ReportFormat = None,
    output: report_options.ReportOutput = None,
    k: report_options.ReportK = 1,
    generation: report_options.ReportGeneration = None,
) -> None:
    """Show what was gained and forgotten.

    How well every task's held-out images find their category, after each task learned, with the exact
    definitions of the numbers. Also of a generation that is not live, such as one that the quality
    gate refused. As HTML it is one file with pictures, the one that was published with the generation.
    """
    with entered(context) as shell:
        from cli.reporting import TABLE, chosen_format, report_bytes
        from cli.whole_files import write_whole
        from cli.wiring import open_workspace

        kind = chosen_format(form, output, as_json=shell.as_json)
        opened = open_workspace(shell.folder)
        if output is not None:
            plain = kind == TABLE
            write_whole(
                output,
                _plain_text(opened, generation, k) if plain else report_bytes(opened, generation, kind, k),
            )
            shell.note(f"wrote {output}")
        elif kind == TABLE:
            from cli.render.tables import rendered
            from cli.reporting import report_as_text

            shell.emit(report_as_text(opened, generation, k, rendered))
        else:
            shell.emit_bytes(report_bytes(opened, generation, kind, k))


def _plain_text(opened: Workspace, generation: str | None, k: int) -> bytes:
    from cli.render.tables import plain
    from cli.reporting import report_as_text

    return f"{report_as_text(opened, generation, k, plain)}\n".encode("utf-8", "backslashreplace")
