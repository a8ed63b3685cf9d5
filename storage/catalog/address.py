"""Database addresses: which are accepted, and how they are shown without their password."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from continual_dml.errors import SettingsError

SQLITE_PREFIXES = ("sqlite:///", "sqlite+pysqlite:///")
POSTGRES_SCHEME = "postgresql+psycopg"


def redacted(url: str) -> str:
    """Return ``url`` without password and without options, fit for a message."""
    path = sqlite_path(url)
    if path is not None:
        return str(path)
    try:
        parts = urlsplit(url)
        place = "".join((f"{parts.username}@" if parts.username else "", parts.hostname or ""))
        return f"{parts.scheme}://{place}{f':{parts.port}' if parts.port else ''}{parts.path}"
    except ValueError:
        return "the given database URL"


def secrets_of(url: str) -> tuple[str, ...]:
    """Return the texts of ``url`` that no message may repeat."""
    try:
        parts = urlsplit(url)
        given = parts.password or ""
    except ValueError:
        return (url,)
    hidden = (given, unquote(given), parts.query)
    return tuple(text for text in hidden if text)


def sqlite_path(url: str) -> Path | None:
    """Return the file of an SQLite address, taken literally; None for any other database."""
    for prefix in SQLITE_PREFIXES:
        if url.startswith(prefix):
            return Path(url.removeprefix(prefix))
    return None


def is_postgresql(url: str | None) -> bool:
    """Whether an accepted address is one of PostgreSQL; None stands for the workspace's own SQLite file."""
    return url is not None and sqlite_path(url) is None


def check_url(url: str) -> None:
    """Accept ``sqlite:////absolute/file`` and ``postgresql+psycopg://...``.

    Raises:
        SettingsError: another database or driver, no driver, or a relative SQLite file.
    """
    path = sqlite_path(url)
    if path is not None:
        if not path.is_absolute():
            raise SettingsError(
                f"the database file '{path}' is relative; give --database-url sqlite:////absolute/path/catalog.db"
            )
        return
    scheme, separator, _ = url.partition("://")
    if not separator or scheme != POSTGRES_SCHEME:
        raise SettingsError(
            f"cannot use the database {redacted(url)}: write postgresql+psycopg://user@host/name "
            "or sqlite:////absolute/path/catalog.db"
        )
