"""The index itself: a small document in the generation's directory that says which table is searched."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import CorruptIndex
from continual_dml.records import Neighbours
from storage.catalog.engine import Database
from storage.catalog.postgres import is_server
from storage.index.checks import check_vectors
from storage.index.exact_order import best_first
from storage.index.stored import StoredIndex
from storage.json_files import render_json
from storage.pgvector import nearest, tables
from storage.pgvector.nearest import Found
from storage.tensor_headers import Content
from storage.verified_files import ADVICE

FILE_NAME = "index.pgvector.json"
_LEAST_FOR_A_GRAPH = 5000


@dataclass(frozen=True, slots=True)
class TableEntry:
    """What the document says: ``items`` vectors of length ``dimension`` in ``table``, with hash ``sha256``.

    ``graph``: whether an HNSW graph was built over them.
    """

    table: str
    items: int
    dimension: int
    sha256: str
    graph: bool

    @classmethod
    def from_bytes(cls, content: bytes) -> TableEntry:
        """Parse the document.

        Raises:
            CorruptIndex: it is none.
        """
        try:
            entry = cls(**json.loads(content))
        except (ValueError, TypeError) as error:
            raise CorruptIndex(f"{FILE_NAME} is no index of this cdml: {ADVICE}") from error
        numbers = type(entry.items) is int and type(entry.dimension) is int
        if not (numbers and isinstance(entry.sha256, str) and tables.is_table_name(entry.table)):
            raise CorruptIndex(f"{FILE_NAME} is no index of this cdml: {ADVICE}")
        return entry


class PgvectorIndex(StoredIndex):
    """Vectors in a table: a graph where there are many, and all compared where there are few.

    Args:
        database: that holds the table; several threads may search at once.
        entry: which table.
    """

    file_name = FILE_NAME
    exact = False

    def __init__(self, database: Database, entry: TableEntry) -> None:
        self._database = database
        self._entry = entry
        self._ids: NDArray[np.int64] | None = None

    def to_bytes(self) -> bytes:
        """Return the document, without the vectors."""
        return render_json(asdict(self._entry))

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._entry.dimension

    @property
    def ids(self) -> NDArray[np.int64]:
        """All ids (N,), ascending; read when they are first asked for."""
        if self._ids is None:
            with self._database.transaction() as connection:
                self._ids = tables.ids_in(connection, self._entry.table)
        return self._ids

    def __len__(self) -> int:
        return self._entry.items

    def prove(self) -> None:
        """Read the whole table and compare it with what was published.

        Raises:
            CorruptIndex: it differs.
        """
        entry, where = self._entry, self._where()
        with self._database.transaction() as connection:
            found = tables.content_hash(connection, entry.table, entry.dimension, where)
        if found != entry.sha256:
            raise CorruptIndex(f"{where} differs from what was published: {ADVICE}")

    def among(self, ids: NDArray[np.int64]) -> PgvectorSelection:
        """Return an exact index of those of its items that are among ``ids`` (n,), in any order."""
        with self._database.transaction() as connection:
            found = tables.ids_in(connection, self._entry.table, ids)
        return PgvectorSelection(self._database, self._entry, found)

    def search(self, queries: NDArray[np.float32], k: int) -> Neighbours:
        """Return ``min(k, len(self))`` items per query (Q, D), best first, the smaller id on ties."""
        return best_first(self._nearest, queries, self.dimension, k, len(self))

    def _nearest(self, queries: NDArray[np.float32], fetched: int) -> Found:
        table = self._entry.table
        with self._database.transaction() as connection:
            if not self._entry.graph or fetched > nearest.WIDEST:
                return self._whole(nearest.by_comparing(connection, table, queries, fetched))
            similarities, ids = nearest.by_graph(connection, table, queries, fetched)
            short = (ids < 0).any(axis=1)
            if short.any():
                rest = nearest.by_comparing(connection, table, queries[short], fetched)
                similarities[short], ids[short] = self._whole(rest)
        return similarities, ids

    def _whole(self, found: Found) -> Found:
        if (found[1] < 0).any():
            raise CorruptIndex(f"{self._where()} has lost vectors: {ADVICE}")
        return found

    def _where(self) -> str:
        return f"the table {self._entry.table} in {self._database.label}"


class PgvectorSelection:
    """Some items of a table, all of them compared; a ``continual_dml.ports.VectorIndex``.

    Args:
        database: that holds the table.
        entry: which table.
        ids: of the items (n,), all of them in the table, ascending.
    """

    def __init__(self, database: Database, entry: TableEntry, ids: NDArray[np.int64]) -> None:
        self._database = database
        self._entry = entry
        self._ids = ids

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._entry.dimension

    def __len__(self) -> int:
        return len(self._ids)

    def among(self, ids: NDArray[np.int64]) -> PgvectorSelection:
        """Return an index of those of its items that are among ``ids`` (n,), in any order."""
        return PgvectorSelection(self._database, self._entry, self._ids[np.isin(self._ids, ids)])

    def search(self, queries: NDArray[np.float32], k: int) -> Neighbours:
        """Return ``min(k, len(self))`` items per query (Q, D), best first, the smaller id on ties."""
        return best_first(self._nearest, queries, self.dimension, k, len(self))

    def _nearest(self, queries: NDArray[np.float32], fetched: int) -> Found:
        with self._database.transaction() as connection:
            found = nearest.by_comparing(connection, self._entry.table, queries, fetched, self._ids)
        if (found[1] < 0).any():
            raise CorruptIndex(f"the table {self._entry.table} has lost vectors: {ADVICE}")
        return found


@dataclass(frozen=True, slots=True)
class PgvectorKind:
    """How such an index is built and opened; a ``storage.index.stored.IndexKind``.

    Args:
        database: the catalogue's.
        generation_id: that an index is built for; each has a table of its own.
        least_for_a_graph: with fewer vectors, comparing with all of them is quick enough, and exact.
    """

    database: Database
    generation_id: int
    least_for_a_graph: int = _LEAST_FOR_A_GRAPH
    maps: ClassVar[bool] = False

    def build(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> PgvectorIndex:
        """Put unit ``vectors`` (N, D) under ``ids`` (N,) into a table of their own, all or nothing.

        Raises:
            GalleryError: ids occur twice, or a vector is not finite or not of unit length.
            SettingsError: the database cannot hold vectors.
            CatalogError: the database refuses.
        """
        check_vectors(ids, vectors)
        tables.require_extension(self.database)
        table, graph = tables.table_of(self.generation_id), len(ids) >= self.least_for_a_graph
        with self.database.transaction() as connection:
            sha256 = tables.create(connection, table, ids, vectors, graph=graph)
        return PgvectorIndex(self.database, TableEntry(table, len(ids), vectors.shape[1], sha256, graph))

    def from_bytes(self, content: bytes) -> PgvectorIndex:
        """Open the index that a document speaks of; counts its vectors and reads none.

        Raises:
            CorruptIndex: the content is no such document, or the table is not the one that it speaks of.
        """
        entry = TableEntry.from_bytes(content)
        label = self.database.label
        with self.database.transaction() as connection:
            if not is_server(connection):
                raise CorruptIndex(
                    f"{FILE_NAME} speaks of a table in PostgreSQL, and {label} is none: set another index "
                    "under [storage] in cdml.toml and run `cdml verify --repair`"
                )
            where = f"the table {entry.table} in {label}"
            tables.check_shape(connection, entry.table, entry.items, entry.dimension, where)
        return PgvectorIndex(self.database, entry)

    def from_buffer(self, content: Content, *, proven: bool) -> PgvectorIndex:
        """Open the same; a proven document says nothing of the table. Raises as :meth:`from_bytes`."""
        del proven
        return self.from_bytes(bytes(content))
