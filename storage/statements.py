"""Runs the catalogue's plain statements without loading SQLAlchemy where the catalogue is an SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from continual_dml.errors import CatalogError
from storage.catalog.address import sqlite_path
from storage.catalog.sqlite_files import connect_reading
from storage.catalog.statements import RunStatement
from storage.catalog.version import UNREADABLE_ADVICE, check_revision
from storage.workspace import Workspace


@contextmanager
def open_statements(workspace: Workspace) -> Iterator[RunStatement]:
    """Open the catalogue read-only, by the standard library where it is an SQLite file.

    All statements see the catalogue at one moment, whatever a writer does meanwhile.

    Raises:
        CatalogError: it cannot answer, or has another schema.
    """
    path = sqlite_path(workspace.database_url)
    if path is None:
        with _server_statements(workspace) as run:
            yield run
        return
    try:
        with closing(connect_reading(path)) as connection:

            def run_sqlite(statement: str, values: Mapping[str, int]) -> Sequence[Sequence[Any]]:
                return connection.execute(statement, values).fetchall()

            connection.execute("BEGIN")  # one snapshot; a reader in WAL mode blocks nobody
            known = run_sqlite("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'", {})
            check_revision(_revision(run_sqlite) if known else None, workspace.database_label)
            yield run_sqlite
    except sqlite3.Error as error:
        raise CatalogError(f"the catalogue {path} cannot answer: {error}; {UNREADABLE_ADVICE}") from error


@contextmanager
def _server_statements(workspace: Workspace) -> Iterator[RunStatement]:
    from sqlalchemy import text

    from storage.catalog.engine import Database
    from storage.catalog.schema import check_schema

    with closing(Database(workspace.database_url, read_only=True)) as database:
        check_schema(database)
        with database.transaction() as connection:
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))

            def run(statement: str, values: Mapping[str, int]) -> Sequence[Sequence[Any]]:
                return connection.execute(text(statement), values).all()

            yield run


def _revision(run: RunStatement) -> str | None:
    rows = run("SELECT version_num FROM alembic_version", {})
    return str(rows[0][0]) if rows else None
