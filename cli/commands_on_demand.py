"""The commands of the command line, each made when it is asked for: one call needs one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import cast

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

Command = TyperCommand | TyperGroup


class CommandsOnDemand(Mapping[str, Command]):
    """Commands by name; ``import-embeddings`` is ``import_embeddings`` of ``cli.commands.import_embeddings``.

    Args:
        names: of all commands, in the order in which they are listed.
        finish: what is done to each command once it is made.
    """

    def __init__(self, names: Sequence[str], finish: Callable[[Command, str], None]) -> None:
        self._names = tuple(names)
        self._finish = finish
        self._made: dict[str, Command] = {}

    def __getitem__(self, name: str) -> Command:
        """Return a command.

        Raises:
            KeyError: there is none of this name.
        """
        if name not in self._names:
            raise KeyError(name)
        if name not in self._made:
            self._made[name] = _made(name)
            self._finish(self._made[name], name)
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        """Return whether there is such a command, without making it."""
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self._names)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._names)


def _made(name: str) -> Command:
    word = name.replace("-", "_")
    found = getattr(import_module(f"cli.commands.{word}"), word)
    # In a group of its own: by itself a command would offer to install completion, as a program does.
    alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name)
    else:
        alone.command(name)(found)
    return cast("Command", typer.main.get_group(alone).commands[name])
