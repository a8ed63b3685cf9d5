"""``cdml gc``: remove generations that need not be kept."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.shell import entered


def gc(
    context: typer.Context,
    keep: Annotated[
        int | None,
        typer.Option(
            "--keep", min=1, help="How many of the live lineage stay. Default: what cdml.toml says, else 1."
        ),
    ] = None,
) -> None:
    """Remove the files of old generations; the live one and tagged ones always stay.

    On a terminal it asks before it removes more than `keep_generations` in cdml.toml allows.
    """
    with entered(context) as shell:
        from cli.housekeeping import run_gc
        from cli.render.amounts import counted, size
        from cli.render.documents import gc_document
        from cli.render.progress import progress_listener
        from cli.wiring import open_workspace

        opened = open_workspace(shell.folder)
        usual = opened.keep_generations
        if keep is not None and keep < usual:  # what nothing else would remove
            question = f"Keep {keep} instead of {usual} generations, and remove the files of the others?"
            if shell.confirmed(question) is False:
                shell.note("nothing was removed")
                return
        with progress_listener(shell) as listener:
            removed, freed = run_gc(opened, keep, listener)
        if shell.as_json:
            shell.emit_json(gc_document(removed, freed))
        else:
            shell.emit(f"{counted(len(removed), 'generation', 'generations')} removed, {size(freed)} freed")
