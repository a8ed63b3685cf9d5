"""``cdml verify``: is everything that the workspace keeps still whole?"""

from __future__ import annotations

from typing import Annotated

import typer

from cli.shell import entered, print_error_line
from continual_dml.errors import GalleryError


def verify(
    context: typer.Context,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep", help="Hash query images and initial weights too; have SQLite check its own file."
        ),
    ] = False,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Make again what can be made: the catalogue from what lies beside each generation, the "
            "index from its vectors, copies of query images from their files; then check.",
        ),
    ] = False,
) -> None:
    """Check files, manifests, index and catalogue against each other; without --repair change nothing.

    Every file of every generation on disk is read and hashed. The exit code is 7 where something is and stays
    wrong.
    """
    with entered(context) as shell:
        from cli.render.amounts import counted
        from cli.render.documents import verify_document
        from cli.render.progress import progress_listener
        from cli.wiring import open_workspace
        from storage.verification import verify as check

        opened = open_workspace(shell.folder)
        with progress_listener(shell) as listener:
            if repair:
                from cli.repairing import run_repair

                for done in run_repair(opened, listener):
                    shell.note(f"repaired: {done}")
            found = check(opened, deep=deep, listener=listener)
        for problem in found.problems:
            print_error_line(f"error: {problem}")
        if found.problems:
            shell.exit_code = GalleryError.exit_code
        if shell.as_json:
            shell.emit_json(verify_document(found))
            return
        checked = (
            f"{counted(found.generations, 'generation', 'generations')}, "
            f"{counted(found.files, 'file', 'files')}, "
            f"{counted(found.query_copies, 'query image', 'query images')} checked"
        )
        problems = counted(len(found.problems), "problem", "problems")
        shell.emit(f"{checked}: {problems if found.problems else 'all whole'}")
