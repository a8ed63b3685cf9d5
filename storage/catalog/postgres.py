"""What a PostgreSQL server does better than plain statements; on SQLite each falls back or does nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, insert, text

from storage.catalog.tables import Base

CHANNEL = "cdml_generation"
"""Who listens on this channel is told the number of each generation that goes live."""
_WRITER = 0x63646D6C
"""Key of the advisory lock; one database holds one catalogue."""

Row = Mapping[str, object]


def is_server(connection: Connection) -> bool:
    """Whether this is PostgreSQL."""
    return connection.dialect.name == "postgresql"


def try_writer_lock(connection: Connection) -> bool:
    """Become the only writer for as long as ``connection`` lives, on whatever machine another may be."""
    found = connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _WRITER})
    return bool(found.scalar())


def announce(connection: Connection, generation_id: int) -> None:
    """Tell listeners, once the transaction is committed, which generation is live."""
    if is_server(connection):
        values = {"channel": CHANNEL, "number": str(generation_id)}
        connection.execute(text("SELECT pg_notify(:channel, :number)"), values)


def insert_many(connection: Connection, table: type[Base], rows: Sequence[Row]) -> None:
    """Insert rows that have the same columns, by COPY where there is a server."""
    if not rows:
        return
    if is_server(connection):
        _copy(connection, table, rows)
    else:
        connection.execute(insert(table), rows)


def _copy(connection: Connection, table: type[Base], rows: Sequence[Row]) -> None:
    from psycopg import sql

    columns = list(rows[0])
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table.__tablename__), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    driver = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(statement) as copy:  # type: ignore[union-attr]
        for row in rows:
            copy.write_row([row[column] for column in columns])
