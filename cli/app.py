"""The entry point ``cdml``: which commands there are. Imports nothing heavy."""

from __future__ import annotations

from gc import set_threshold
from typing import Annotated, cast

import typer
import typer.main
from typer.core import TyperGroup

from cli.commands.add import add
from cli.commands.backup import backup
from cli.commands.benchmark import benchmark
from cli.commands.compact import compact
from cli.commands.config import config
from cli.commands.delete import delete
from cli.commands.demo import demo
from cli.commands.export import export
from cli.commands.gc import gc
from cli.commands.generations import generations
from cli.commands.import_embeddings import import_embeddings
from cli.commands.ingest_task import ingest_task
from cli.commands.init import init
from cli.commands.promote import promote
from cli.commands.query import query
from cli.commands.refresh import refresh
from cli.commands.report import report
from cli.commands.restore import restore
from cli.commands.rollback import rollback
from cli.commands.serve import serve
from cli.commands.statistics import statistics
from cli.commands.status import status
from cli.commands.tag import tag
from cli.commands.tasks import tasks
from cli.commands.verify import verify
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


app.command("init")(init)
app.command("ingest-task")(ingest_task)
app.command("add")(add)
app.command("refresh")(refresh)
app.command("query")(query)
app.command("serve")(serve)
app.command("report")(report)
app.command("tasks")(tasks)
app.command("status")(status)
app.command("statistics")(statistics)
app.command("generations")(generations)
app.command("rollback")(rollback)
app.command("promote")(promote)
app.command("tag")(tag)
app.command("delete")(delete)
app.command("compact")(compact)
app.command("gc")(gc)
app.command("verify")(verify)
app.command("backup")(backup)
app.command("restore")(restore)
app.command("export")(export)
app.command("import-embeddings")(import_embeddings)
app.command("demo")(demo)
app.command("benchmark")(benchmark)
app.add_typer(config, name="config")


RARELY = 20_000, 20, 50
"""Libraries make hundreds of thousands of objects that stay: looking through them again and again for garbage
would take a good part of every command that imports torch."""


def command_line() -> TyperGroup:
    """Return the whole command line: every command of ``app``, with the shared options."""
    group = cast("TyperGroup", typer.main.get_command(app))
    add_shared_options(group)
    return group


def main() -> None:
    """Run the command line and exit."""
    set_threshold(*RARELY)
    command_line()(prog_name="cdml")


if __name__ == "__main__":
    main()
