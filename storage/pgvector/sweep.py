"""Drops tables of vectors that no generation searches any more. Only the lock holder calls this."""

from __future__ import annotations

from continual_dml.errors import CdmlError, CorruptIndex
from storage.catalog.engine import Database
from storage.pgvector import tables
from storage.pgvector.index import FILE_NAME, TableEntry
from storage.workspace import Workspace, numbered


def drop_unneeded(workspace: Workspace, database: Database) -> list[str]:
    """Drop every table that no directory of a generation speaks of; call once the directories are gone.

    A directory that is there keeps the table it speaks of, which may be that of an earlier generation whose
    index it took over, and the one of its own number, should its document be damaged.

    Returns:
        One line per table that stays for now.
    """
    try:
        with database.transaction() as connection:
            found = tables.tables_in(connection)
        unneeded = found - _spoken_of(workspace) if found else found
    except (CdmlError, OSError) as error:
        return [f"old tables of vectors were not removed: {error}"]
    warnings: list[str] = []
    for table in sorted(unneeded):
        warnings += _dropped(database, table)
    return warnings


def _dropped(database: Database, table: str) -> list[str]:
    """Drop one table; returns a warning where it stays."""
    try:
        with database.transaction() as connection:
            tables.drop(connection, table)
    except CdmlError as error:
        return [f"the table {table} was not removed: {error}"]
    return []


def _spoken_of(workspace: Workspace) -> set[str]:
    named = set()
    for directory in numbered(workspace.generations_dir):
        named.add(tables.table_of(int(directory.name)))
        try:
            named.add(TableEntry.from_bytes((directory / FILE_NAME).read_bytes()).table)
        except (OSError, CorruptIndex):
            continue
    return named
