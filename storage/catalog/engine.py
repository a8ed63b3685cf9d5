"""Connections to the catalogue through SQLAlchemy; all that is special about one database is in this file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from continual_dml.errors import CatalogError, SettingsError, WorkspaceLocked
from storage.catalog import postgres
from storage.catalog.address import check_url, redacted, secrets_of, sqlite_path
from storage.catalog.sqlite_files import connect_reading, connect_writing
from storage.catalog.version import SERVER_ADVICE, UNREADABLE_ADVICE


class Database:
    """The catalogue's database, open for the one writer or read-only.

    Args:
        url: an address that :func:`storage.catalog.address.check_url` accepts.
        read_only: whether writing is refused by the database itself.

    Raises:
        SettingsError: the address or its driver cannot be used.
    """

    def __init__(self, url: str, *, read_only: bool) -> None:
        check_url(url)
        self.label = redacted(url)
        self._secrets = secrets_of(url)
        self._engine = _sqlite_engine(url, read_only) or _server_engine(url, read_only)
        self._errors = (SQLAlchemyError, self._engine.dialect.loaded_dbapi.Error)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Run one transaction; a writer holds the database's write lock from its start.

        Raises:
            CatalogError: the database refuses or cannot be reached.
        """
        try:
            with self._engine.begin() as connection:
                yield connection
        except self._errors as error:
            raise self._described(error) from error

    @contextmanager
    def writer(self) -> Iterator[None]:
        """Be the only writer of a server's database; an SQLite file has the lock of its workspace for that.

        Raises:
            WorkspaceLocked: another process, here or on another machine, is the writer.
            CatalogError: the database refuses or cannot be reached.
        """
        if self._engine.dialect.name != "postgresql":
            yield
            return
        try:
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        except self._errors as error:
            raise self._described(error) from error
        try:
            if not self._locked(connection):
                raise WorkspaceLocked(f"another cdml is writing to {self.label}: wait until it has finished")
            yield
        finally:
            connection.invalidate()  # ends the session and with it the lock
            connection.close()

    def _locked(self, connection: Connection) -> bool:
        try:
            return postgres.try_writer_lock(connection)
        except self._errors as error:
            raise self._described(error) from error

    def empty_log(self) -> None:
        """Have an SQLite file take in its write-ahead log, which may hold what was overwritten since.

        While somebody reads, the log stays; the last one to close it removes it.
        """
        if self._engine.dialect.name != "sqlite":
            return
        connection = self._engine.raw_connection()
        try:
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except self._errors as error:
            raise self._described(error) from error
        finally:
            connection.close()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _described(self, error: Exception) -> CatalogError:
        advice = UNREADABLE_ADVICE if self._engine.dialect.name == "sqlite" else SERVER_ADVICE
        return CatalogError(f"the catalogue {self.label} cannot answer: {self._reason(error)}; {advice}")

    def _reason(self, error: Exception) -> str:
        reason = " ".join(str(getattr(error, "orig", None) or error).split())
        for secret in self._secrets:
            reason = reason.replace(secret, "***")
        return reason[:300]


def revision_of(connection: Connection) -> str | None:
    """Return the schema revision that the database names, or None."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def _sqlite_engine(url: str, read_only: bool) -> Engine | None:
    path = sqlite_path(url)
    if path is None:
        return None
    connect = connect_reading if read_only else connect_writing
    engine = create_engine("sqlite://", creator=lambda: connect(path), poolclass=QueuePool)
    # Taking the write lock at once: a transaction that reads first and writes later can fail without waiting.
    begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"

    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "begin", start)
    return engine


def _server_engine(url: str, read_only: bool) -> Engine:
    try:
        engine = create_engine(url, connect_args={"connect_timeout": 10}, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"the driver for {redacted(url)} is not installed: run `pip install 'cdml[postgres]'`"
        ) from error
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise SettingsError(
            f"cannot use the database {redacted(url)}: write postgresql+psycopg://user@host/name"
        ) from error
    return engine.execution_options(postgresql_readonly=True) if read_only else engine
