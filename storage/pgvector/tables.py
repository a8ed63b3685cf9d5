"""The tables that hold vectors: one for each index that was built, beside the tables of the catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from continual_dml.errors import CatalogError, CorruptIndex, SettingsError
from storage.catalog.engine import Database
from storage.catalog.postgres import is_server
from storage.pgvector.rows import ContentHash, in_id_order, packed, unpacked
from storage.verified_files import ADVICE

_PREFIX = "gallery_vectors_"
_NAME = re.compile(_PREFIX + r"\d{1,18}")
_LEAST_VERSION = (0, 8)  # the first with hnsw.iterative_scan
_LINKS, _BUILD_WIDTH = 16, 128
_PATIENCE_MILLISECONDS = 5000
_MOST_DIMENSIONS = 2000  # of a graph, and of a row that stays in its page
_ELSE = "or choose another --index"


def table_of(generation_id: int) -> str:
    """Return the name of the table that an index built for this generation lies in."""
    return f"{_PREFIX}{generation_id}"


def is_table_name(name: object) -> bool:
    """Say whether ``name`` is one that :func:`table_of` gives."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def require_extension(database: Database) -> None:
    """Make sure that the database can hold and search vectors.

    Raises:
        SettingsError: it is no PostgreSQL, or has no pgvector that can be used; says who must do what.
        CatalogError: it cannot be reached.
    """
    with database.transaction() as connection:
        if not is_server(connection):
            raise SettingsError(
                f"the index kind 'pgvector' keeps its vectors in PostgreSQL, and {database.label} is none: "
                "set another index under [storage] in cdml.toml, or restore a backup into PostgreSQL"
            )
        offered = connection.execute(
            text("SELECT installed_version FROM pg_available_extensions WHERE name = 'vector'")
        ).first()
    if offered is None:
        raise SettingsError(
            f"the server of {database.label} has no extension 'vector': have pgvector 0.8 or newer installed "
            f"on it, {_ELSE}"
        )
    if offered[0] is None:
        _create_extension(database)
    with database.transaction() as connection:
        query = (
            "SELECT extversion, to_regtype('vector') IS NOT NULL FROM pg_extension WHERE extname = 'vector'"
        )
        version, reachable = connection.execute(text(query)).one()
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < _LEAST_VERSION:
        raise SettingsError(
            f"{database.label} has pgvector {version}, 0.8 is needed: have its administrator run "
            f"`ALTER EXTENSION vector UPDATE`, {_ELSE}"
        )
    if not reachable:
        raise SettingsError(
            f"the extension 'vector' of {database.label} lies in a schema that is not searched: have its "
            f"administrator add that one to search_path, {_ELSE}"
        )


def create(
    connection: Connection, table: str, ids: NDArray[np.int64], vectors: NDArray[np.float32], *, graph: bool
) -> str:
    """Make a table of ``ids`` (N,) and unit ``vectors`` (N, D), and return the hash of its content.

    Args:
        connection: within the transaction that all of this becomes visible with.
        table: a name that :func:`table_of` gave.
        ids: distinct.
        vectors: of equal length.
        graph: whether to build an HNSW graph, without which each search compares with every vector. There is
            none of vectors longer than 2000 numbers.
    """
    dimension = vectors.shape[1]
    digest = ContentHash(dimension)

    def pieces() -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        for piece in in_id_order(ids, vectors):
            digest.add(*piece)
            yield piece

    connection.execute(
        text(f"CREATE TABLE {table} (item_id bigint NOT NULL, embedding vector({dimension}) NOT NULL)")
    )
    if (
        dimension <= _MOST_DIMENSIONS
    ):  # else vectors of 500 numbers lie elsewhere, and each is fetched from there
        connection.execute(text(f"ALTER TABLE {table} ALTER COLUMN embedding SET STORAGE PLAIN"))
    # Frozen rows of a table that is new with this transaction: counting them later reads the key alone.
    statement = f"COPY {table} (item_id, embedding) FROM STDIN (FORMAT binary, FREEZE)"
    driver = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(statement) as copy:  # type: ignore[union-attr]
        for document in packed(pieces(), dimension):
            copy.write(document)
    connection.execute(text(f"ALTER TABLE {table} ADD PRIMARY KEY (item_id)"))
    if graph and dimension <= _MOST_DIMENSIONS:
        connection.execute(
            text(
                f"CREATE INDEX ON {table} USING hnsw (embedding vector_ip_ops) "
                f"WITH (m = {_LINKS}, ef_construction = {_BUILD_WIDTH})"
            )
        )
    return digest.hexdigest()


def check_shape(connection: Connection, table: str, items: int, dimension: int, where: str) -> None:
    """Accept a table that is there with as many rows and numbers as it was built with; reads no vector.

    Raises:
        CorruptIndex: it is not.
    """
    query = (
        "SELECT attname, atttypmod FROM pg_attribute "
        "WHERE attrelid = to_regclass(:name) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
    )
    columns = [tuple(row) for row in connection.execute(text(query), {"name": table})]
    if not columns:
        raise CorruptIndex(f"{where} is missing: {ADVICE}")
    found = None
    if columns == [("item_id", -1), ("embedding", dimension)]:
        found = connection.execute(text(f"SELECT count(*) FROM {table}")).scalar()  # noqa: S608 - our own name
    if found != items:
        raise CorruptIndex(f"{where} does not hold the {items} vectors that it was built with: {ADVICE}")


def content_hash(connection: Connection, table: str, dimension: int, where: str) -> str:
    """Read a whole table and return the hash of its content.

    Raises:
        CorruptIndex: a row is none that :func:`create` wrote.
    """
    digest = ContentHash(dimension)
    query = f"SELECT item_id, embedding FROM {table} ORDER BY item_id"  # noqa: S608 - our own name
    driver = connection.connection.driver_connection
    statement = f"COPY ({query}) TO STDOUT (FORMAT binary)"
    with driver.cursor() as cursor, cursor.copy(statement) as copy:  # type: ignore[union-attr]
        for ids, vectors in unpacked(copy, dimension, where):
            digest.add(ids, vectors)
    return digest.hexdigest()


def ids_in(connection: Connection, table: str, among: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Return the ids (n,) of a table, ascending; of those ``among`` others (m,) where these are given."""
    query, values = f"SELECT item_id FROM {table}", {}  # noqa: S608 - our own name
    if among is not None:
        query, values = f"{query} WHERE item_id = ANY(CAST(:ids AS bigint[]))", {"ids": among.tolist()}
    found = connection.execute(text(f"{query} ORDER BY item_id"), values).scalars().all()
    return np.array(found, dtype=np.int64)


def tables_in(connection: Connection) -> set[str]:
    """Return all tables of vectors that lie where the catalogue does; none in a database of another kind."""
    if not is_server(connection):
        return set()
    query = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
    return {name for name in connection.execute(text(query)).scalars() if is_table_name(name)}


def drop(connection: Connection, table: str) -> None:
    """Remove a table; gives up soon where somebody else holds it."""
    connection.execute(text(f"SET LOCAL lock_timeout = {_PATIENCE_MILLISECONDS}"))
    connection.execute(text(f"DROP TABLE IF EXISTS {table}"))


def _create_extension(database: Database) -> None:
    try:
        with database.transaction() as connection:
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
    except CatalogError as error:
        raise SettingsError(
            f"this user may not make the extension 'vector' in {database.label}: have its administrator run "
            f"`CREATE EXTENSION vector` there, {_ELSE}"
        ) from error
