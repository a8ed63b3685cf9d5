"""``cdml status``: what the workspace holds, in counts that add up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from cli.shell import entered

if TYPE_CHECKING:
    from cli.render.tables import Table
    from storage.summary import StatusSummary


def status(
    context: typer.Context,
) -> None:
    """Count what the workspace holds.

    Images on disk, catalogued, embedded, indexed, stale and quarantined, in numbers that add up.
    """
    with entered(context) as shell:
        from cli.render.documents import status_document
        from cli.render.tables import rendered
        from cli.wiring import open_workspace
        from storage.summary import read_status

        opened = open_workspace(shell.folder)
        summary = read_status(opened)
        if shell.as_json:
            shell.emit_json(status_document(summary))
            return
        live = summary.generation
        shell.emit_line(
            f"{opened.root}: no task yet, run `cdml ingest-task FOLDER`"
            if live is None
            else f"{opened.root}: generation {live.generation_id} of {live.created_at}"
        )
        if live is not None:
            shell.emit("\n" + rendered(_table(summary)))


def _table(summary: StatusSummary) -> Table:
    from cli.render.amounts import size
    from cli.render.tables import Table

    gallery, queries = summary.gallery, summary.queries
    rows = [
        ["tasks", f"{summary.tasks}", ""],
        ["categories", f"{summary.categories}", ""],
        ["gallery images catalogued", f"{gallery.catalogued}", "= embedded = indexed"],
        ["  added", f"{summary.added}", "without learning"],
        ["  on disk", f"{gallery.on_disk}", "whose file is still there"],
        ["  embedded", f"{gallery.embedded}", "= fresh + projected + stale"],
        ["    fresh", f"{gallery.fresh}", "by the live model"],
        ["    projected", f"{gallery.projected}", "carried forward by the drift map"],
        ["    stale", f"{gallery.stale}", "as an earlier model left them"],
        ["  indexed", f"{gallery.indexed}", _index(summary)],
        ["query images catalogued", f"{queries.catalogued}", ""],
        ["  copies on disk", f"{queries.copies_on_disk}", "in the workspace"],
        ["quarantined files", f"{summary.quarantined}", ""],
        *_deleted(summary),
        ["size of the workspace", size(summary.bytes_on_disk), ""],
    ]
    return Table("", ["", "count", ""], rows, (2, 10, 12, 13))


def _deleted(summary: StatusSummary) -> list[list[str]]:
    from cli.render.amounts import counted

    deleted = summary.deleted
    if not deleted.gallery + deleted.queries:
        return []
    categories = counted(deleted.categories, "category", "categories")
    learned = f"what was learned from them stays, in weights and in statistics of {categories}"
    return [
        ["deleted gallery images", f"{deleted.gallery}", learned if deleted.gallery else ""],
        ["deleted query images", f"{deleted.queries}", ""],
    ]


def _index(summary: StatusSummary) -> str:
    if summary.index is None:
        return ""
    recall = summary.index.recall_at_10
    return f"{summary.index.kind}, " + ("exact" if recall is None else f"finds {recall:.1%} of the ten best")
