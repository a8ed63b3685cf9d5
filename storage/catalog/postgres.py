"""What only a PostgreSQL server has: a lock that other machines see, and a word to whoever listens."""

from __future__ import annotations

from sqlalchemy import Connection, text

CHANNEL = "cdml_generation"
"""Who listens on this channel is told the number of each generation that goes live."""
_WRITER = 0x63646D6C
"""Key of the advisory lock; one database holds one catalogue."""


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
