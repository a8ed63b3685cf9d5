"""The entry point ``cdml``: which commands there are. It imports nothing heavy, and no other command."""

from __future__ import annotations

import atexit
import gc
from collections.abc import MutableMapping
from typing import Annotated, Any, cast

import typer
import typer.main
from typer.core import TyperGroup

from cli.commands_on_demand import CommandsOnDemand
from cli.shared_options import add_shared_options
from continual_dml import __version__

app = typer.Typer(
    name="cdml",
    help="Image search that learns new categories one task at a time, and says what it forgot.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cdml {__version__}")
        raise typer.Exit


@app.callback()
def whole(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Image search that learns new categories one task at a time, and says what it forgot.

    The options here, but --version and those about completion, may stand before or after a command. Exit
    codes: 0 done, 1 failure, 2 usage, 3 done but not with everything, 4 no match, 5 built but not live, 6
    workspace locked, 7 integrity problem, 130 interrupted.
    """
    del version  # answered by its callback


COMMANDS = (
    "init",
    "ingest-task",
    "add",
    "refresh",
    "query",
    "serve",
    "report",
    "tasks",
    "status",
    "statistics",
    "generations",
    "rollback",
    "promote",
    "tag",
    "delete",
    "compact",
    "gc",
    "verify",
    "backup",
    "restore",
    "export",
    "import-embeddings",
    "demo",
    "benchmark",
    "config",
)
"""In the order in which they are listed."""

RARELY = 20_000, 100, 10
"""Libraries make hundreds of thousands of objects that stay: looking through them again and again for garbage
would take a good part of every command that imports torch."""


def command_line() -> TyperGroup:
    """Return the whole command line, every command with the shared options."""
    group = cast("TyperGroup", typer.main.get_command(app))
    add_shared_options(group)
    group.commands = cast("MutableMapping[str, Any]", CommandsOnDemand(COMMANDS, add_shared_options))
    return group


def main() -> None:
    """Run the command line and exit."""
    gc.set_threshold(*RARELY)
    atexit.register(gc.freeze)  # nor are they looked through at the end: half a second, and all goes anyway
    command_line()(prog_name="cdml")


if __name__ == "__main__":
    main()
