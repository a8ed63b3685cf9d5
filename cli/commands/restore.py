"""``cdml restore``: a workspace from a backup."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.shell import entered


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="What `cdml backup` wrote.")],
    database_url: options.DatabaseUrl = None,
) -> None:
    """Make a workspace (-w, a new folder) of a backup.

    The catalogue goes into SQLite in the folder, or into the empty database of --database-url, wherever it
    was before. A damaged archive leaves nothing behind.
    """
    with entered(context) as shell:
        from cli.render.documents import restore_document
        from cli.render.progress import progress_listener
        from cli.settings import merged_options
        from storage.backup import restore as make
        from storage.summary import read_status

        chosen = merged_options({"database_url": database_url})
        with progress_listener(shell) as listener:
            made = make(file, shell.folder, chosen.get("database_url"), listener)
        live = read_status(made).generation
        number = None if live is None else live.generation_id
        if shell.as_json:
            shell.emit_json(restore_document(made, number))
        else:
            shell.emit_line(
                f"{made.root}: " + ("no task yet" if number is None else f"generation {number} is live")
            )
