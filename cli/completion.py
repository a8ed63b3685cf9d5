"""What the shell completes from the live workspace: fast and silent, an error completes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from continual_dml.records import Generation
    from storage.catalog.statements import RunStatement

Completer = Callable[[typer.Context, str], list[str]]
_BASH = "bash"


def categories(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a category that the live generation sees."""

    def read(run: RunStatement, live: Generation) -> Iterable[str]:
        from storage.catalog.statements import read_categories

        return sorted(read_categories(run, live.generation_id).values())

    return _matching(context, incomplete, read)


def task_names(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a task, or of an addition, of the live generation."""

    def read(run: RunStatement, live: Generation) -> Iterable[str]:
        from storage.catalog.statements import read_tasks_and_additions

        return [one.name for found in read_tasks_and_additions(run, live.generation_id) for one in found]

    return _matching(context, incomplete, read)


def generations(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the number of a published generation, the newest first, or a tag."""

    def read(run: RunStatement, live: Generation) -> Iterable[str]:
        del live
        from storage.catalog.statements import read_published, read_tags

        return [*read_tags(run), *(str(number) for number in reversed(read_published(run)))]

    return _matching(context, incomplete, read)


def tags(context: typer.Context, incomplete: str) -> list[str]:
    """Complete a tag."""

    def read(run: RunStatement, live: Generation) -> Iterable[str]:
        del live
        from storage.catalog.statements import read_tags

        return read_tags(run)

    return _matching(context, incomplete, read)


def index_kinds(incomplete: str) -> list[str]:
    """Complete a kind of search index."""
    from storage.workspace_file import INDEX_KINDS

    return _starting(INDEX_KINDS, incomplete)


def streams(incomplete: str) -> list[str]:
    """Complete the name of a stream that ``cdml benchmark`` knows."""
    from streams.named.catalogue import STREAMS

    return _starting(STREAMS, incomplete)


def methods(incomplete: str) -> list[str]:
    """Complete the last of several methods with commas between them."""
    from continual_dml.strategies.variants import COMPARED

    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in COMPARED if name.startswith(last)]


def _matching(
    context: typer.Context, incomplete: str, read: Callable[[RunStatement, Generation], Iterable[str]]
) -> list[str]:
    try:
        with _live(context) as found:
            names = [] if found is None else list(read(*found))
    except Exception:  # noqa: BLE001 - a shell that completes has no place for errors
        return []
    return _starting(filter(str.isprintable, names), incomplete)


@contextmanager
def _live(context: typer.Context) -> Iterator[tuple[RunStatement, Generation] | None]:
    from cli.shell import chosen_shell, take_from_elsewhere
    from storage.catalog.statements import read_head
    from storage.statements import open_statements
    from storage.workspace import Workspace

    shell = chosen_shell(context)
    take_from_elsewhere(shell)
    with open_statements(Workspace.open(shell.folder)) as run:
        live = read_head(run)
        yield None if live is None else (run, live)


def _starting(names: Iterable[str], incomplete: str) -> list[str]:
    found = [name for name in names if name.startswith(incomplete)]
    return [_in_bash(name) for name in found] if _shell_is(_BASH) else found


def _shell_is(name: str) -> bool:
    return os.environ.get("_CDML_COMPLETE", "").endswith(f"_{name}")


def _in_bash(name: str) -> str:
    """Return a name as bash has to read it: it inserts names as they are, the other shells quote them."""
    import shlex

    return name if shlex.quote(name) == name else "".join(c if c.isalnum() else f"\\{c}" for c in name)
