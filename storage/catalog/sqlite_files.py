"""Connections to SQLite files, with the standard library alone (``cdml status`` needs nothing else)."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

BUSY_SECONDS = 10.0


def connect_writing(path: Path) -> sqlite3.Connection:
    """Open ``path`` for the one writer; transactions are opened explicitly by the caller.

    Write-ahead logging lets readers go on meanwhile; ``synchronous=FULL`` makes a commit durable; what is
    deleted is overwritten with zeros.
    """
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA secure_delete=ON")
    return connection


def connect_reading(path: Path) -> sqlite3.Connection:
    """Open ``path`` read-only, also in a directory where nothing can be created.

    Reading a write-ahead log needs a shared-memory file beside it. Where that cannot be made and no log with
    content exists, the file is whole and is opened as immutable.

    Raises:
        sqlite3.Error: the file is missing or is no database.
    """
    try:
        return _checked(path, "mode=ro")
    except sqlite3.OperationalError:
        log = path.with_name(path.name + "-wal")
        if not path.is_file() or (log.is_file() and log.stat().st_size > 0):
            raise
        return _checked(path, "mode=ro&immutable=1")


def _checked(path: Path, options: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?{options}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.execute("SELECT name FROM sqlite_master LIMIT 1").fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    return connection
