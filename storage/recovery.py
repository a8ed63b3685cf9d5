"""Removes what a crash left behind and what no generation needs any more. Only the lock holder calls this."""

from __future__ import annotations

import re
from pathlib import Path

from continual_dml.errors import CdmlError
from storage import durable, query_copies
from storage.catalog import history, publish, queries
from storage.catalog.engine import Database
from storage.failpoints import reach
from storage.workspace import Workspace

_OWN_NAME = re.compile(r"\d{8,}|\.(staging|removing)-\d{8,}")


def recover(workspace: Workspace, database: Database, kept_generations: int) -> list[str]:
    """Undo half-done runs and remove their debris; the live generation does not move.

    Returns:
        One line per thing that could not be removed; it is tried again next time.

    Raises:
        CatalogError: the catalogue cannot be repaired.
    """
    for directory in (workspace.generations_dir, workspace.queries_dir):
        durable.make_directory(directory)
    with database.transaction() as connection:
        unfinished = queries.unfinished_runs(connection)
    for generation_id in unfinished:
        publish.abandon(database, generation_id)
    return collect(workspace, database, kept_generations) + _sweep_query_copies(workspace, database)


def collect(workspace: Workspace, database: Database, kept_generations: int) -> list[str]:
    """Remove the files of every generation that is not kept (:func:`history.kept`), and what none sees.

    Returns:
        One line per thing that could not be removed; it is tried again next time.
    """
    reach("collecting")
    warnings: list[str] = []
    try:
        with database.transaction() as connection:
            staying = history.kept(connection, kept_generations)
        if history.forget_unreachable(database, staying):
            warnings += _sweep_query_copies(workspace, database)
        kept = {workspace.generation_dir(number).name for number in staying}
        found = sorted(path for path in workspace.generations_dir.iterdir() if path.name not in kept)
    except (CdmlError, OSError) as error:
        return [*warnings, f"old generations were not removed: {error}"]
    for path in found:
        if _OWN_NAME.fullmatch(path.name):
            try:
                _remove(path)
            except CdmlError as error:
                warnings.append(str(error))
    reach("collected")
    return warnings


def _sweep_query_copies(workspace: Workspace, database: Database) -> list[str]:
    with database.transaction() as connection:
        referenced = queries.all_query_hashes(connection)
    return query_copies.sweep(workspace, referenced)


def _remove(directory: Path) -> None:
    """Take the name away first: a reader then misses the directory as a whole, never single files of it."""
    doomed = directory
    if directory.name.isdigit():
        doomed = directory.with_name(f".removing-{directory.name}")
        durable.rename(directory, doomed)
    durable.remove_tree(doomed)
