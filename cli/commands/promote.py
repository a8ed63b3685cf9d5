"""``cdml promote``: make a generation live that its quality gate refused."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import completion
from cli.shell import entered


def promote(
    context: typer.Context,
    generation: Annotated[
        str | None,
        typer.Argument(
            help="Its number or a tag. Default: the newest that was refused.",
            autocompletion=completion.generations,
        ),
    ] = None,
) -> None:
    """Make a generation live although the quality gate refused it.

    `cdml report --generation GENERATION` shows it before that, `cdml rollback` goes back afterwards.
    """
    with entered(context) as shell:
        from cli.housekeeping import run_promote
        from cli.render.documents import promote_document
        from cli.render.progress import progress_listener
        from cli.wiring import open_workspace

        with progress_listener(shell) as listener:
            done = run_promote(open_workspace(shell.folder), generation, listener)
        if shell.as_json:
            shell.emit_json(promote_document(done))
        elif done.before == done.now:
            shell.emit(f"generation {done.now.generation_id} is live already")
        else:
            line = f"generation {done.now.generation_id} is live, promoted by hand ({done.refusal})"
            if done.before is not None and done.can_go_back:
                line += f"; `cdml rollback {done.before.generation_id}` goes back"
            shell.emit_line(line)
