"""Removes what a crash left behind and what no generation needs any more. Only the lock holder calls this."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from continual_dml.errors import CatalogError, CdmlError
from storage import durable, embedded_shards, leases, query_copies
from storage.catalog import history, publish, queries
from storage.catalog.address import sqlite_path
from storage.catalog.engine import Database
from storage.failpoints import reach
from storage.pgvector.sweep import drop_unneeded
from storage.workspace import Workspace, numbered

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
    warnings = collect(workspace, database, kept_generations) + _sweep_query_copies(workspace, database)
    with database.transaction() as connection:
        live = queries.head(connection)
    number = live.generation_id if live else 0
    return warnings + _attempted(
        lambda path: embedded_shards.discard_outdated(path, number), workspace.shards_dir
    )


def refuse_lost_catalogue(workspace: Workspace, database: Database) -> None:
    """Accept a catalogue that knows what lies in the workspace: to another one it would all be debris.

    A number is given out durably before a directory has it: a larger one says that the catalogue is older.

    Raises:
        CatalogError: it has never heard of a generation that is there.
    """
    found = numbered(workspace.generations_dir)
    if not found:
        return
    known, path = 0, sqlite_path(workspace.database_url)
    if path is None or path.exists():  # else opening it would make an empty one
        with database.transaction() as connection:
            known = queries.newest_run(connection)
    newest = int(found[-1].name)
    if newest > known:
        state = f"ends with generation {known}" if known else "is missing or empty"
        raise CatalogError(
            f"the catalogue {database.label} {state}, but {workspace.generations_dir} holds generation "
            f"{newest}: put the right one back, or build it again with `cdml verify --repair`"
        )


def collect(workspace: Workspace, database: Database, kept_generations: int) -> list[str]:
    """Remove the files of every generation that is not kept (:func:`history.kept`), and what none sees.

    A generation that a reader looks at stays until the next collection.

    Returns:
        One line per thing that could not be removed; it is tried again next time.
    """
    reach("collecting")
    warnings: list[str] = []
    with ExitStack() as claims:
        try:
            with database.transaction() as connection:
                kept = set(history.kept(connection, kept_generations))
            staying = kept | _in_use(workspace, kept, claims)
            if history.forget_unreachable(database, staying):
                warnings += _sweep_query_copies(workspace, database)
            names = {workspace.generation_dir(number).name for number in staying}
            found = sorted(path for path in workspace.generations_dir.iterdir() if path.name not in names)
        except (CdmlError, OSError) as error:
            return [*warnings, f"old generations were not removed: {error}"]
        for path in found:
            if _OWN_NAME.fullmatch(path.name):
                warnings += _attempted(_remove, path)
        for path in numbered(workspace.leases_dir):
            if int(path.name) not in staying:
                warnings += _attempted(durable.remove_file, path)
        # While a table of vectors stays, so does what is known of the images in it.
        warnings += drop_unneeded(workspace, database) or _scrub(workspace, database, staying)
    reach("collected")
    return warnings


def _scrub(workspace: Workspace, database: Database, staying: set[int]) -> list[str]:
    """Forget where deleted images came from, once no directory holds them any more."""
    try:
        found = {
            int(path.name.rpartition("-")[2])
            for path in workspace.generations_dir.iterdir()
            if _OWN_NAME.fullmatch(path.name)
        }
        if not history.scrub_removed(database, staying | found):
            return []
        warnings = _sweep_query_copies(workspace, database)
        database.empty_log()
    except (CdmlError, OSError) as error:
        return [f"what the catalogue knew of deleted images was not removed: {error}"]
    return warnings


def _in_use(workspace: Workspace, kept: set[int], claims: ExitStack) -> set[int]:
    """Return the generations that readers look at, of those that are not kept; all others are claimed."""
    found = numbered(workspace.generations_dir) + numbered(workspace.leases_dir)
    in_use = set()
    for number in sorted({int(path.name) for path in found} - kept):
        try:
            claim = leases.claim(workspace.lease(number))
        except BlockingIOError:
            in_use.add(number)
            continue
        if claim is not None:
            claims.callback(os.close, claim)
    return in_use


def _attempted(remove: Callable[[Path], None], path: Path) -> list[str]:
    """Remove ``path``; returns a warning where it stays."""
    try:
        remove(path)
    except CdmlError as error:
        return [str(error)]
    return []


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
