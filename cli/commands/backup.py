"""``cdml backup``: the workspace as one archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.shell import entered


def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The archive (tar) to write; it must not exist yet.")],
) -> None:
    """Write settings, catalogue, generations and query images into one file, as they are at one moment.

    Nobody has to stop meanwhile. Source images are not in it, and no database password.
    """
    with entered(context) as shell:
        from cli.render.amounts import size
        from cli.render.documents import backup_document
        from cli.render.progress import progress_listener
        from cli.wiring import open_workspace
        from storage.backup import back_up

        with progress_listener(shell) as listener:
            entry = back_up(open_workspace(shell.folder), file, listener)
        if shell.as_json:
            shell.emit_json(backup_document(file, entry))
        else:
            shell.emit_line(f"{file}: {size(entry.size)}, sha256 {entry.sha256}")
