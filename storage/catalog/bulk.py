"""Many rows at once, past the layers that cost more than the insert itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from storage.catalog.postgres import is_server
from storage.catalog.tables import Base

Row = tuple[object, ...]


def insert_many(
    connection: Connection, table: type[Base], columns: Sequence[str], rows: Sequence[Row]
) -> None:
    """Insert ``rows`` with values for ``columns``: by COPY into a server, by one prepared statement else."""
    if is_server(connection):
        _copy(connection, table.__tablename__, columns, rows)
    elif rows:
        places = ", ".join("?" * len(columns))
        names = f"{table.__tablename__} ({', '.join(columns)})"  # our own, never a user's
        connection.exec_driver_sql(f"INSERT INTO {names} VALUES ({places})", list(rows))  # noqa: S608


def _copy(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
    from psycopg import sql

    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
    driver = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(statement) as copy:  # type: ignore[union-attr]
        for row in rows:
            copy.write_row(row)
