"""``cdml rollback``: make an earlier generation the live one again."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import completion
from cli.shell import entered


def rollback(
    context: typer.Context,
    generation: Annotated[
        str | None,
        typer.Argument(
            help="Its number or a tag. Default: the parent of the live one.",
            autocompletion=completion.generations,
        ),
    ] = None,
) -> None:
    """Bring back an earlier generation: model, gallery, catalogue and report as they were.

    What was undone stays on disk until the next task is learned, so that it can be brought back as well. No
    source file is touched.
    """
    with entered(context) as shell:
        from cli.housekeeping import run_rollback
        from cli.render.documents import rollback_document
        from cli.render.progress import progress_listener
        from cli.wiring import open_workspace

        with progress_listener(shell) as listener:
            before, now = run_rollback(open_workspace(shell.folder), generation, listener)
        if shell.as_json:
            shell.emit_json(rollback_document(before, now))
        elif before == now:
            shell.emit(f"generation {now.generation_id} is live already")
        else:
            shell.emit(f"generation {now.generation_id} is live again, {before.generation_id} is not")
