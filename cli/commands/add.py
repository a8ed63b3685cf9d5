"""``cdml add``: images that can be found at once, without learning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli import completion, options
from cli.shell import INCOMPLETE, entered

Paths = Annotated[
    list[Path],
    typer.Argument(metavar="PATH...", help="Folders PATH/<category>/*, or images with --category."),
]


def add(
    context: typer.Context,
    paths: Paths,
    category: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Category of all PATHs, which are images then; known or new.",
            autocompletion=completion.categories,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="Name of this addition, for filters. Default: the folder's or the category's.",
            autocompletion=completion.task_names,
        ),
    ] = None,
    device: options.Device = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be added, left out, and looks like a copy.")
    ] = False,
) -> None:
    """Add images of known or new categories without learning: they are embedded, and found from now on.

    Nothing is trained, nothing held out and nothing measured: figures stay those from before. The next task
    takes the classes of added images into account, but is not trained on them. Ends with 3 when it is done
    but files were left out.
    """
    flags: dict[str, Any] = {"device": device}
    with entered(context) as shell:
        from cli.adding import AddRequest, plan_add, run_add
        from cli.interruptions import told_how_to_go_on
        from cli.render.additions import show_addition, show_planned_addition
        from cli.render.progress import progress_listener
        from cli.settings import compute_device, merged_options, settings_of
        from cli.wiring import open_workspace

        chosen = merged_options(flags)
        opened = open_workspace(shell.folder)
        where = compute_device(chosen, settings_of(opened))
        request = AddRequest(tuple(paths), category, name, where)
        if dry_run:
            with progress_listener(shell) as listener:
                plan = plan_add(request, opened, listener)
            show_planned_addition(shell, plan)
        else:
            with progress_listener(shell) as listener, told_how_to_go_on(shell, opened):
                outcome = run_add(request, opened, listener)
            plan = outcome.plan
            shell.published = outcome.result.generation.generation_id
            show_addition(shell, outcome)
        if plan.quarantined:
            shell.exit_code = INCOMPLETE
