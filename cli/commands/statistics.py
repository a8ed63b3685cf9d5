"""``cdml statistics``: what is kept of each category instead of its images, how large and how old it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli import completion
from cli.shell import entered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from storage.kept_statistics import CategoryStatistics

SHOWN = 20
ORDERS: Mapping[str, Callable[[CategoryStatistics], tuple[float | str, ...]]] = {
    "age": lambda one: (-one.drift_maps_since, one.images, one.name),
    "size": lambda one: (-one.size_bytes, one.name),
    "images": lambda one: (one.images, one.name),
    "name": lambda one: (one.name,),
}


def statistics(
    context: typer.Context,
    category: Annotated[
        list[str] | None,
        typer.Option(
            "--category", help="List this category alone; repeatable.", autocompletion=completion.categories
        ),
    ] = None,
    sort: Annotated[
        str,
        typer.Option(
            help=f"What the list begins with. One of {', '.join(ORDERS)}. age (the default): the categories "
            "moved by the most drift maps since their last images, of these the ones with the fewest images; "
            "size: the largest; images: the ones with the fewest.",
            autocompletion=lambda incomplete: [name for name in ORDERS if name.startswith(incomplete)],
        ),
    ] = "age",
    everything: Annotated[bool, typer.Option("--all", help=f"List all, not the first {SHOWN}.")] = False,
) -> None:
    """Show what is kept of each category instead of its images: how many bytes, and how old it is.

    Statistics age: they are measured on images once, and each later task moves them by a drift map that it
    fits to its own images. With --json all categories are listed.
    """
    with entered(context) as shell:
        from dataclasses import replace

        from cli.render.documents import statistics_document
        from cli.render.kept_statistics import listed_table, show_statistics
        from cli.render.tables import rendered
        from cli.wiring import open_workspace
        from continual_dml.settings.checks import choice
        from storage.kept_statistics import read_kept_statistics

        choice("order", sort, tuple(ORDERS))
        found = read_kept_statistics(open_workspace(shell.folder))
        ordered = replace(found, categories=tuple(sorted(found.categories, key=ORDERS[sort])))
        wanted = _wanted(ordered.categories, category or ()) if found.generation else []
        if shell.as_json:
            shell.emit_json(statistics_document(ordered, wanted))
        elif found.generation is None:
            shell.emit("no statistics yet: run `cdml ingest-task FOLDER`")
        elif category:
            shell.emit(rendered(listed_table(wanted)))
        else:
            number = found.generation.generation_id
            show_statistics(shell, ordered, number, None if everything else SHOWN)


def _wanted(found: Sequence[CategoryStatistics], names: Sequence[str]) -> list[CategoryStatistics]:
    from continual_dml.errors import UnknownChoice

    known = {one.name for one in found}
    for name in names:
        if name not in known:
            raise UnknownChoice("category", name, known)
    return [one for one in found if not names or one.name in names]
