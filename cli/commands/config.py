"""``cdml config``: which settings hold, and where they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.shell import Shell, chosen_shell, entered

if TYPE_CHECKING:
    from cli.effective_settings import Effective

config = typer.Typer(
    help="Show which settings hold, where they come from, and which files are read.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@config.command("show")
def show(
    context: typer.Context,
    origin: Annotated[
        bool,
        typer.Option("--origin", help="Say of each where it comes from: flag, variable, file, or default."),
    ] = False,
) -> None:
    """Show every setting with its value in this workspace; without one, as `cdml init` would make it.

    Flags win over CDML_* variables, these over the workspace's cdml.toml, this over your own file, and that
    over the defaults. With --json the origins are always there. Passwords are left out.
    """
    with entered(context) as shell:
        from cli.effective_settings import effective_settings
        from cli.wiring import open_workspace
        from storage.workspace_file import FILE_NAME

        there = (shell.folder / FILE_NAME).is_file()
        opened = open_workspace(shell.folder) if there else None
        if opened is None:
            shell.note(f"no workspace at {shell.folder.absolute()}: shown is what `cdml init` would make")
        found = effective_settings(chosen_shell(context), opened)
        if shell.as_json:
            from cli.render.settings_lists import settings_document

            shell.emit_json(settings_document(shell.folder.absolute(), found, exists=there))
        else:
            _show(shell, found, origin=origin)


def _show(shell: Shell, found: list[Effective], *, origin: bool) -> None:
    from cli.render.settings_lists import settings_table
    from cli.render.tables import rendered

    shell.emit(rendered(settings_table(found, origin=origin)))


@config.command("path")
def path(context: typer.Context) -> None:
    """Say where settings files are looked for, the strongest first, and which of them are there."""
    with entered(context) as shell:
        from cli.effective_settings import looked_for
        from cli.render.settings_lists import paths_document

        found = looked_for(shell.folder)
        if shell.as_json:
            shell.emit_json(paths_document(found))
            return
        for kind, file in found:
            shell.emit_line(f"{kind}: {file}{'' if file.is_file() else ' (not there)'}")
