"""``cdml generations``: the log of what was published."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from cli.shell import entered

if TYPE_CHECKING:
    from storage.generations import GenerationEntry

_HEADINGS = ("generation", "parent", "", "task", "published", "images", "R@1", "size", "tags", "readers")


def generations(
    context: typer.Context,
) -> None:
    """List the generations: which is live, what each learned, how well it retrieves, which are still kept."""
    with entered(context) as shell:
        from cli.render.documents import generations_document
        from cli.render.tables import Table, rendered
        from cli.wiring import open_workspace
        from storage.generations import read_generations

        found = read_generations(open_workspace(shell.folder))
        if shell.as_json:
            shell.emit_json(generations_document(found))
            return
        if not found:
            shell.emit("no generation yet: run `cdml ingest-task FOLDER`")
            return
        shell.emit(rendered(Table("", _HEADINGS, [_row(one) for one in found])))


def _row(one: GenerationEntry) -> list[str]:
    from cli.render.amounts import UNKNOWN, share, size

    state = "live" if one.live else "" if one.in_lineage else "refused" if one.refused else "undone"
    if one.refused and one.in_lineage:
        state = f"{state}, promoted" if state else "promoted"
    return [
        str(one.generation_id),
        UNKNOWN if one.parent_id is None else str(one.parent_id),
        state,
        _task(one),
        one.created_at,
        str(one.images),
        share(one.recall_at_1),
        size(one.bytes_on_disk) if one.kept else "not kept",
        ", ".join(one.tags),
        ", ".join(map(str, one.readers)),
    ]


def _task(one: GenerationEntry) -> str:
    """Return what a generation did."""
    from cli.render.amounts import counted

    for count, done in ((one.deleted, "deleted"), (one.added, "added")):
        if count:
            return f"{counted(count, 'image', 'images')} {done}"
    return one.task
