"""``cdml tag``: name a generation, which keeps it."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import completion
from cli.shell import entered


def tag(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(help="Letters, digits, '.', '_' and '-'.", autocompletion=completion.tags)
    ],
    generation: Annotated[
        str | None,
        typer.Argument(
            help="Its number or another tag. Default: the live one.", autocompletion=completion.generations
        ),
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Take the name away instead.")] = False,
) -> None:
    """Name a generation: its files stay on disk and `cdml rollback NAME` brings it back.

    A name that another generation has moves over.
    """
    with entered(context) as shell:
        from cli.housekeeping import run_tag, run_untag
        from cli.render.documents import tag_document
        from cli.render.progress import progress_listener
        from cli.wiring import open_workspace
        from continual_dml.errors import SettingsError

        opened = open_workspace(shell.folder)
        if delete and generation is not None:
            raise SettingsError("--delete takes the name alone; leave the generation out")
        with progress_listener(shell) as listener:
            if delete:
                run_untag(opened, name, listener)
                number = None
            else:
                number = run_tag(opened, name, generation, listener)
        if shell.as_json:
            shell.emit_json(tag_document(name, number))
        else:
            shell.emit(
                f"'{name}' is no tag any more" if number is None else f"'{name}' is generation {number}"
            )
