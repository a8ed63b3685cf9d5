"""``cdml report``: what was gained and what was forgotten."""

from __future__ import annotations

from typing import Any

import typer

from cli import options
from cli.shell import Shell, entered


def report(
    context: typer.Context,
    k: options.ReportK = 1,
    generation: options.ReportGeneration = None,
) -> None:
    """Show what was gained and forgotten.

    How well every task's held-out images find their category, after each task learned, with the exact
    definitions of the numbers. Also of a generation that is not live, such as one that the quality
    gate refused.
    """
    with entered(context) as shell:
        from cli.wiring import open_workspace
        from storage.summary import live_generation, read_report

        opened = open_workspace(shell.folder)
        found = read_report(opened, generation)
        live = generation is None or found["generation"] == live_generation(opened)
        if shell.as_json:
            shell.emit_json({**found, "live": live})
        else:
            _show(shell, found, k, live=live)


def _show(shell: Shell, found: dict[str, Any], k: int, *, live: bool) -> None:
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
    from cli.render.tables import paragraph, rendered
    from cli.render.thresholds import doubtful_categories, threshold_text
    from continual_dml.errors import UnknownChoice

    if str(k) not in found["recall_at_k"]:
        raise UnknownChoice("K", str(k), found["recall_at_k"])
    names = [task["name"] for task in found["tasks"]]
    within = found["within_task"]
    shell.emit(f"generation {found['generation']}{'' if live else ', not live'}\n")
    gate = gate_line(found, live=live)
    if gate is not None:
        shell.emit_line(gate)
        shell.emit("")
    if "deleted_since" in found:
        gone = found["deleted_since"]
        counts = f"{gone['gallery']} gallery and {gone['query']} query images"
        shell.emit(f"{counts} were deleted since this was measured\n")
    if "added_since" in found:
        more = found["added_since"]
        images = counted(more["gallery"], "image was", "images were")
        categories = counted(more["new_categories"], "category", "categories")
        shell.emit(f"{images} added since this was measured, with {categories} new among them\n")
    for title, rows in (
        (f"Recall@{k}, gallery of all tasks", found["recall_at_k"][str(k)]),
        (f"Recall@{k}, within the task", within["recall_at_k"][str(k)]),
        ("R-precision, gallery of all tasks", found["r_precision"]),
        ("MAP@R, gallery of all tasks", found["map_at_r"]),
    ):
        shell.emit(rendered(matrix_table(title, rows, names)) + "\n")
    shell.emit(rendered(summary_table(found)) + "\n")
    members = members_table(found)
    if members is not None:
        shell.emit(rendered(members) + "\n")
    compatibility = compatibility_table(found)
    if compatibility is not None:
        shell.emit(rendered(compatibility) + "\n")
    shell.emit(rendered(parts_table(found)) + "\n")
    text, doubtful = threshold_text(found), doubtful_categories(found)
    if doubtful is not None:
        shell.emit(rendered(doubtful) + "\n")
    if text is not None:
        shell.emit(paragraph(text) + "\n")
    missing = without_positive(found)
    if missing:
        shell.emit(missing + "\n")
    shell.emit(definitions(found, list(found["definitions"])))
