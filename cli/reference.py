"""The reference of the command line as Markdown, made from the commands themselves.

``python -m cli.reference > docs/cli.md`` writes the page; a test says when it is out of date.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from cli.app import command_line
from cli.option_table import BY_NAME, Option
from continual_dml.settings import Settings

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Begin and learn": ("init", "ingest-task", "add", "refresh"),
    "Search": ("query", "serve"),
    "Look": ("report", "tasks", "status", "statistics", "generations"),
    "Go back and forth": ("rollback", "promote", "tag"),
    "Keep in order": ("delete", "compact", "gc", "verify", "backup", "restore"),
    "Take along and bring in": ("export", "import-embeddings"),
    "Settings": ("config",),
    "Try and compare": ("demo", "benchmark"),
}
"""Commands by what they are for; what stands in none of these comes last."""

OTHERS = "Further commands"
_TOP = """# Commands

This page is made from the commands themselves: `python -m cli.reference > docs/cli.md`, and `make docs` too.

A default stands in brackets. "Variable" names the environment variable that says the same as the flag;
[configuration](configuration.md) tells which of several places wins, and has the settings that only files and
`--set section.name=value` reach. All commands share the [exit codes](exit-codes.md), and what
[`--json`](json.md) promises.
"""
_SHARED = """## Options of every command

They stand before or after a command's name; `--version` and those about completion before it alone.
"""
_CODE = re.compile(r"^--?\w|[<>*|]|\w_\w|\w_\*|\w=|://|^\w+\.toml$")
_KINDS = {"INT": "N", "INT RANGE": "N", "STR": "TEXT"}
Command = TyperCommand | TyperGroup


def reference() -> str:
    """Return the whole page."""
    whole = command_line()
    shared = {each.name for each in whole.params if isinstance(each, TyperOption)}
    commands = dict(_commands(whole, ""))
    parts = [_TOP, _contents(commands), _SHARED, _listed(_options(whole, frozenset()))]
    for title, names in _grouped(commands).items():
        parts.append(f"## {title}\n")
        for name in names:
            parts.extend(_section(name, commands[name], shared - {"version"}))
    return "\n".join(parts).rstrip() + "\n"


def _commands(group: TyperGroup, path: str) -> Iterator[tuple[str, Command]]:
    """Yield every command that does something, with its name as it is typed after ``cdml``."""
    for name, inner in group.commands.items():
        if isinstance(inner, TyperGroup):
            yield from _commands(inner, f"{path}{name} ")
        elif isinstance(inner, TyperCommand):
            yield f"{path}{name}", inner


def _grouped(commands: Iterable[str]) -> dict[str, list[str]]:
    """Return the commands' names by group, groups without any left out."""
    place = {first: title for title, names in GROUPS.items() for first in names}
    found: dict[str, list[str]] = {title: [] for title in (*GROUPS, OTHERS)}
    for name in commands:
        found[place.get(name.split()[0], OTHERS)].append(name)
    return {title: names for title, names in found.items() if names}


def _contents(commands: Mapping[str, Command]) -> str:
    lines = ["| command | does |", "|---|---|"]
    for names in _grouped(commands).values():
        for name in names:
            anchor = f"cdml-{name.replace(' ', '-')}"
            lines.append(f"| [`cdml {name}`](#{anchor}) | {marked(_first_line(commands[name]))} |")
    return "\n".join(lines) + "\n"


def _first_line(command: Command) -> str:
    return (command.help or "").split("\n\n")[0].replace("\n", " ").strip()


def _section(name: str, command: Command, shared: Iterable[str | None]) -> Iterator[str]:
    arguments = [each for each in command.params if isinstance(each, TyperArgument)]
    options = _options(command, frozenset(shared))
    usage = " ".join(["cdml", name, *(["[OPTIONS]"] if options else []), *map(_metavar, arguments)])
    yield f"### cdml {name}\n"
    yield f"```text\n{usage}\n```\n"
    yield from (marked(part.replace("\n", " ").strip()) + "\n" for part in (command.help or "").split("\n\n"))
    if arguments:
        yield "**Arguments**\n"
        yield "\n".join(f"- `{_metavar(each)}`: {marked(each.help or '')}" for each in arguments) + "\n"
    if options:
        yield "**Options**\n"
        yield _listed(options)


def _options(command: Command, without: frozenset[str | None]) -> list[TyperOption]:
    return [each for each in command.params if isinstance(each, TyperOption) and each.name not in without]


def _listed(options: Iterable[TyperOption]) -> str:
    lines = []
    for option in options:
        names = ", ".join(f"`{name}`" for name in _spelled(option))
        default, variable = _default(option), _variable(option)
        bracket = "" if default is None else f" [`{default}`]"
        told = "" if variable is None else f" Variable `{variable}`."
        lines.append(f"- {names}: {marked(option.help or '')}{bracket}{told}")
    return "\n".join(lines) + "\n"


def _spelled(option: TyperOption) -> list[str]:
    """Return the ways to write an option, the long one first and with what follows it."""
    flags = sorted(option.opts, key=len, reverse=True)
    value = "" if option.is_flag else f" {_metavar(option)}"
    return [f"{flags[0]}{value}", *flags[1:], *option.secondary_opts]


def _metavar(parameter: TyperArgument | TyperOption) -> str:
    if parameter.metavar:
        return parameter.metavar
    if isinstance(parameter, TyperArgument):
        name = (parameter.name or "").upper() + ("..." if parameter.nargs != 1 else "")
        return name if parameter.required else f"[{name}]"
    kind = parameter.type.name.upper()
    return _KINDS.get(kind, kind)


def _default(option: TyperOption) -> str | None:
    """Return a default as text, the command's own or that of the setting; None where the help says it."""
    if option.is_flag or "efault" in (option.help or ""):
        return None
    known = _known(option)
    value = option.default
    if value is None and known is not None and known.place is not None:
        value = Settings()
        for part in known.place.split("."):
            value = getattr(value, part, None)
    return None if value is None or callable(value) or isinstance(value, list | tuple) else str(value)


def _variable(option: TyperOption) -> str | None:
    known = _known(option)
    return None if known is None or known.variable in (option.help or "") else known.variable


def _known(option: TyperOption) -> Option | None:
    return BY_NAME.get(max(option.opts, key=len).lstrip("-").replace("-", "_"))


def marked(text: str) -> str:
    """Return a help text as Markdown: what is to be typed, or would be taken for markup, as code.

    >>> marked("Reads PATH/<category>/* (see --index) and `cdml.toml`.")
    'Reads `PATH/<category>/*` (see `--index`) and `cdml.toml`.'
    """
    outside = text.split("`")
    outside[::2] = [" ".join(map(_word, part.split(" "))) for part in outside[::2]]
    return "`".join(outside)


def _word(word: str) -> str:
    found = re.fullmatch(r"(\(?)(.*?)([.,;:)]*)", word.removesuffix("..."))
    if found is None or not _CODE.search(found[2]):
        return word
    dots = "..." if word.endswith("...") else ""
    return f"{found[1]}`{found[2]}{dots}`{found[3]}"


if __name__ == "__main__":
    sys.stdout.write(reference())
