"""The options that every command has, before its name or after it: added to all of them in one place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from cli.shell import Shell

WITHOUT_WORKSPACE = frozenset({"benchmark"})
_FLAGS = {
    "as_json": (("--json",), "Print exactly one JSON document on stdout."),
    "quiet": (("--quiet", "-q"), "No progress and no notes on stderr."),
    "verbose": (("--verbose", "-v"), "More notes on stderr: what was read, and how long each stage took."),
    "no_progress": (("--no-progress",), "Notes on stderr, but no progress (env CDML_NO_PROGRESS)."),
    "yes": (("--yes", "-y"), "Answer every question with yes."),
    "offline": (("--offline",), "Open no connection to another machine (env CDML_OFFLINE)."),
    "debug": (("--debug",), "Show the traceback of an error."),
}


def add_shared_options(command: object, name: str = "") -> None:
    """Give a command, or a group and all commands of it, the shared options after its own.

    Their values are no arguments of the command's function: they become the context's :class:`Shell`, where
    what stands after a command is laid over what stood before it.
    """
    if isinstance(command, TyperGroup | TyperCommand):
        command.params.extend(_options(name))
    if isinstance(command, TyperGroup):
        for each, inner in command.commands.items():
            add_shared_options(inner, each)


def _options(command: str) -> list[TyperOption]:
    folder = TyperOption(
        param_decls=["workspace", "--workspace", "-w"],
        type=Path,
        metavar="PATH",
        help="The workspace's folder (env CDML_WORKSPACE, default .cdml).",
        expose_value=False,
        callback=_remember,
    )
    flags = [
        TyperOption(
            param_decls=[name, *declared],
            is_flag=True,
            default=False,
            help=text,
            expose_value=False,
            callback=_remember,
        )
        for name, (declared, text) in _FLAGS.items()
    ]
    return flags if command in WITHOUT_WORKSPACE else [folder, *flags]


def _remember(context: typer.Context, option: TyperOption, value: Path | bool | None) -> None:
    """Lay a value that was given over the shell of the command before, if there is one."""
    if value:
        before = context.obj if isinstance(context.obj, Shell) else Shell()
        given: dict[str, Any] = {str(option.name): value}
        context.obj = replace(before, **given)
