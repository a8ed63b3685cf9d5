"""``cdml delete``: take images out of the workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli import completion
from cli.shell import INCOMPLETE, Shell, entered, print_error_line

if TYPE_CHECKING:
    from cli.deletions import DeleteOutcome
    from storage.workspace import Workspace

_SHOWN_CATEGORIES = 10


def delete(
    context: typer.Context,
    items: Annotated[
        list[int] | None,
        typer.Argument(metavar="[ITEM]...", help="Numbers of images, as queries show them."),
    ] = None,
    category: Annotated[
        list[str] | None,
        typer.Option(
            "--category", help="All images of a category; repeatable.", autocompletion=completion.categories
        ),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(metavar="FILTER", help="All images that a filter, as of `cdml query`, is true of."),
    ] = None,
    purge: Annotated[
        bool,
        typer.Option(
            "--purge", help="Keep no earlier generation, so that no file of the workspace holds the images."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
) -> None:
    """Delete images from gallery, queries and catalogue; their files outside the workspace stay.

    A new generation is published without them; `cdml rollback` undoes it where the one before is kept. What
    the networks and the class statistics learned from the images stays learned, and `cdml status` says so.
    """
    with entered(context) as shell:
        from cli.deletions import find_to_delete
        from cli.wiring import open_workspace
        from continual_dml.errors import SettingsError
        from storage.filters import parse_filter

        if sum(map(bool, (items, category, where))) != 1:
            raise SettingsError("say what to delete by one of: numbers of images, --category, --where")
        opened = open_workspace(shell.folder)
        chosen = None if where is None else parse_filter(where)
        found = find_to_delete(opened, items or (), category or (), chosen, purge=purge)
        if found.item_ids and not dry_run:
            if not _confirmed(shell, found):
                shell.note("nothing was deleted")
                return
            found = _delete(shell, opened, found)
        _show(shell, found)


def _confirmed(shell: Shell, found: DeleteOutcome) -> bool:
    from continual_dml.errors import SettingsError

    answer = shell.confirmed(f"Delete {_described(found)}?")
    if answer is None:
        raise SettingsError(f"{_described(found)} would be deleted: say --yes, or --dry-run to look first")
    return answer


def _delete(shell: Shell, workspace: Workspace, found: DeleteOutcome) -> DeleteOutcome:
    from cli.deletions import run_delete
    from cli.render.progress import progress_listener

    with progress_listener(shell) as listener:
        done = run_delete(workspace, found, listener)
    if done.purged and done.held:
        shell.exit_code = INCOMPLETE
        print_error_line(
            f"not purged yet: {done.held} of them are in an earlier generation that a process reads: run "
            "`cdml gc` when it has ended (`cdml generations` names it)"
        )
    return done


def _show(shell: Shell, found: DeleteOutcome) -> None:
    from cli.render.documents import delete_document

    if shell.as_json:
        shell.emit_json(delete_document(found))
    elif not found.item_ids:
        shell.emit("nothing to delete: no image is like that")
    elif found.generation is None:
        shell.emit_line(f"{_described(found)} would be deleted")
    else:
        shell.emit_line(f"{_described(found)} deleted; generation {found.generation} is live")


def _described(found: DeleteOutcome) -> str:
    from cli.render.amounts import counted

    images = f"{counted(found.gallery, 'gallery image', 'gallery images')}"
    if found.queries:
        images += f" and {counted(found.queries, 'query image', 'query images')}"
    names = [f"{name} ({count})" for name, count in found.categories[:_SHOWN_CATEGORIES]]
    more = len(found.categories) - len(names)
    return f"{images} of {', '.join(names)}" + (f" and {more} more categories" if more else "")
