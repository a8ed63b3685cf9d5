"""The index in PostgreSQL goes through the same contract, on a real server, with a graph and without one."""

from __future__ import annotations

import itertools
from contextlib import closing

import numpy as np
import pytest
from sqlalchemy import create_engine, make_url, text

from continual_dml.errors import CorruptIndex, GalleryError, SettingsError
from continual_dml.testing.vector_index_contract import CHECKS
from storage.catalog.engine import Database
from storage.index import INDEXES
from storage.index.recall import measured_recall
from storage.pgvector import nearest, tables
from storage.pgvector.index import PgvectorKind
from tests.postgres_server import running_server

NUMBERS = itertools.count(1)
GRAPH, NO_GRAPH = 1, 10_000


@pytest.fixture(scope="module")
def database_url(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("postgres")) as address:
        yield address


@pytest.fixture(scope="module")
def database(database_url):
    with closing(Database(database_url, read_only=False)) as opened:
        yield opened


@pytest.fixture
def bare_url(database_url):
    """Another database of the same server, without the extension; dropped afterwards."""
    engine = create_engine(database_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE bare"))
        yield make_url(database_url).set(database="bare").render_as_string(hide_password=False)
        connection.execute(text("DROP DATABASE bare WITH (FORCE)"))
    engine.dispose()


@pytest.fixture(params=[GRAPH, NO_GRAPH], ids=["graph", "no-graph"])
def kind(request, database):
    return lambda: PgvectorKind(database, next(NUMBERS), least_for_a_graph=request.param)


def unit_rows(count, dimension, seed=0):
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(count, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_index_in_postgresql_keeps_the_contract(kind, check):
    check(lambda ids, vectors: kind().build(ids, vectors))


@pytest.mark.parametrize("check", CHECKS[:8], ids=lambda check: check.__name__)
def test_it_keeps_the_contract_after_a_way_through_its_document_and_a_reader_that_cannot_write(
    kind, check, database_url
):
    with closing(Database(database_url, read_only=True)) as reading:

        def build(ids, vectors):
            content = kind().build(ids, vectors).to_bytes()
            opened = PgvectorKind(reading, 0).from_bytes(content)
            opened.prove()
            return opened

        check(build)


def test_bytes_that_are_no_document_are_refused(database):
    other = b'{"table": "head", "items": 1, "dimension": 2, "sha256": "", "graph": false}'
    for content in (b"", b"[]", b"{}", b"\x00" * 64, other):
        with pytest.raises(CorruptIndex):
            PgvectorKind(database, 0).from_bytes(content)


def test_a_filter_that_few_of_many_match_gives_all_of_them_through_a_graph(database):
    vectors = unit_rows(3000, 8)
    ids = np.arange(3000, dtype=np.int64)
    index = PgvectorKind(database, next(NUMBERS), least_for_a_graph=GRAPH).build(ids, vectors)
    far = np.argsort(vectors @ vectors[0])[:20]  # the least similar of all
    found = index.among(ids[far]).search(vectors[:1], 50)
    assert found.ids[0].tolist() == far[::-1].tolist()


def test_more_neighbours_than_the_graph_gives_come_from_comparing_all(database):
    vectors = unit_rows(2500, 4)
    ids = np.arange(2500, dtype=np.int64)
    index = PgvectorKind(database, next(NUMBERS), least_for_a_graph=GRAPH).build(ids, vectors)
    exact = INDEXES["numpy-exact"].build(ids, vectors)
    for k in (nearest.WIDEST + 1, 2500):
        found, expected = index.search(vectors[:2], k), exact.search(vectors[:2], k)
        assert np.allclose(found.similarities, expected.similarities, atol=1e-6)
        assert [len(set(row)) for row in found.ids.tolist()] == [k, k]


def short_graph(database, monkeypatch, ids, vectors):
    """Return an index whose graph alone leads to fewer than 50 items, and what it leads to.

    The server draws each graph by chance; once in many times it leads to all that is asked for.
    """
    for _ in range(10):
        index = PgvectorKind(database, next(NUMBERS), least_for_a_graph=GRAPH).build(ids, vectors)
        with monkeypatch.context() as patch, database.transaction() as connection:
            patch.setattr(nearest, "WIDEST", 1)  # the narrowest search that the server takes
            _, reached = nearest.by_graph(connection, index._entry.table, vectors[:3], 50)
        if (reached < 0).any():
            return index, reached
    pytest.fail("the graph alone must be short, or this test shows nothing")


def test_a_graph_that_leads_to_too_few_is_made_up_for(database, monkeypatch):
    vectors = unit_rows(300, 4)
    ids = np.arange(300, dtype=np.int64)
    monkeypatch.setattr(nearest, "_MOST_VISITED", 1)
    index, reached = short_graph(database, monkeypatch, ids, vectors)
    by_graph = nearest.by_graph

    def narrow(*arguments):
        with monkeypatch.context() as patch:
            patch.setattr(nearest, "WIDEST", 1)
            return by_graph(*arguments)

    monkeypatch.setattr(nearest, "by_graph", narrow)
    found = index.search(vectors[:3], 42).ids
    expected = INDEXES["numpy-exact"].build(ids, vectors).search(vectors[:3], 42).ids
    short = (reached < 0).any(axis=1)
    assert np.array_equal(found[short], expected[short])
    assert [len(set(row)) for row in found.tolist()] == [42, 42, 42]


def test_the_graph_misses_little_and_says_how_much(database):
    random = np.random.default_rng(0)
    centres = random.normal(size=(50, 16))
    vectors = centres[random.integers(0, 50, size=3000)] + 0.5 * random.normal(size=(3000, 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    ids = random.permutation(100_000)[:3000].astype(np.int64)
    index = PgvectorKind(database, next(NUMBERS), least_for_a_graph=GRAPH).build(ids, vectors)
    assert not index.exact
    assert measured_recall(index, ids, vectors) > 0.95


def test_a_search_with_a_graph_uses_it_and_an_exact_one_does_not(database):
    vectors = unit_rows(3000, 8)
    index = PgvectorKind(database, next(NUMBERS), least_for_a_graph=GRAPH).build(
        np.arange(3000, dtype=np.int64), vectors
    )

    def scans():
        with database.transaction() as connection:
            connection.execute(text("SELECT pg_stat_force_next_flush()"))
        with database.transaction() as connection:
            query = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname LIKE :name"
            return connection.execute(text(query), {"name": f"{index._entry.table}_embedding%"}).scalar()

    before = scans()
    index.among(index.ids[:2000]).search(vectors[:5], 3)
    assert scans() == before
    index.search(vectors[:5], 3)
    assert scans() == before + 5


def test_vectors_that_are_too_long_for_a_graph_are_compared(database):
    vectors = unit_rows(5, 2100)
    index = PgvectorKind(database, next(NUMBERS), least_for_a_graph=GRAPH).build(
        np.arange(5, dtype=np.int64), vectors
    )
    index.prove()
    assert index.search(vectors, 1).ids[:, 0].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE {table} SET embedding = '[0,1]' WHERE item_id = 2",
        "UPDATE {table} SET item_id = 7 WHERE item_id = 2",
        "UPDATE {table} SET item_id = CASE item_id WHEN 1 THEN 2 ELSE 1 END WHERE item_id < 3",
    ],
)
def test_a_changed_row_is_found_by_reading_all(database, change):
    built = PgvectorKind(database, next(NUMBERS)).build(
        np.array([3, 2, 1], dtype=np.int64), np.array([[1, 0], [0.6, 0.8], [0, 1]], dtype=np.float32)
    )
    built.prove()
    with database.transaction() as connection:
        key = f"{built._entry.table}_pkey"
        connection.execute(text(f"ALTER TABLE {built._entry.table} DROP CONSTRAINT {key}"))
        connection.execute(text(change.format(table=built._entry.table)))
    opened = PgvectorKind(database, 0).from_bytes(built.to_bytes())
    with pytest.raises(CorruptIndex, match="differs from what was published"):
        opened.prove()


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE {table}",
        "DELETE FROM {table} WHERE item_id = 2",
        "ALTER TABLE {table} DROP COLUMN embedding",
        "ALTER TABLE {table} ALTER COLUMN embedding TYPE vector",
        "ALTER TABLE {table} RENAME COLUMN item_id TO other",
    ],
)
def test_a_table_of_another_shape_is_not_opened(database, change):
    built = PgvectorKind(database, next(NUMBERS)).build(
        np.array([1, 2], dtype=np.int64), np.array([[1, 0], [0, 1]], dtype=np.float32)
    )
    with database.transaction() as connection:
        connection.execute(text(change.format(table=built._entry.table)))
    with pytest.raises(CorruptIndex, match="verify --repair"):
        PgvectorKind(database, 0).from_bytes(built.to_bytes())


def test_rows_that_disappear_after_opening_do_not_give_a_shorter_answer(database):
    vectors = unit_rows(3, 2)
    index = PgvectorKind(database, next(NUMBERS)).build(np.arange(3, dtype=np.int64), vectors)
    chosen = index.among(index.ids)
    with database.transaction() as connection:
        connection.execute(text(f"DELETE FROM {index._entry.table} WHERE item_id = 0"))
    for opened in (index, chosen):
        with pytest.raises(CorruptIndex, match="lost vectors"):
            opened.search(vectors, 3)


def test_vectors_that_are_refused_leave_no_table(database):
    number = next(NUMBERS)
    with pytest.raises(GalleryError):
        PgvectorKind(database, number).build(np.array([1, 1]), np.eye(2, dtype=np.float32))
    with database.transaction() as connection:
        assert tables.table_of(number) not in tables.tables_in(connection)


def test_an_sqlite_catalogue_is_refused_with_what_to_do(tmp_path):
    with (
        closing(Database(f"sqlite:///{tmp_path / 'catalog.db'}", read_only=False)) as database,
        pytest.raises(SettingsError, match="set another index under"),
    ):
        PgvectorKind(database, 1).build(np.arange(2), np.eye(2, dtype=np.float32))


def test_a_server_that_does_not_offer_the_extension_is_refused_with_what_to_do(bare_url):
    with (
        closing(Database(f"{bare_url}&options=-cextension_control_path%3D/nowhere", read_only=False)) as bare,
        pytest.raises(SettingsError, match="have pgvector 0.8 or newer installed"),
    ):
        tables.require_extension(bare)


def test_a_user_who_may_not_make_the_extension_is_told_who_may(bare_url, database):
    with database.transaction() as connection:
        connection.execute(text("CREATE ROLE visitor LOGIN"))
    visitor = make_url(bare_url).set(username="visitor").render_as_string(hide_password=False)
    with closing(Database(visitor, read_only=False)) as theirs:
        with pytest.raises(SettingsError, match="have its administrator run `CREATE EXTENSION vector`"):
            tables.require_extension(theirs)
        with closing(Database(bare_url, read_only=False)) as administrator:
            tables.require_extension(administrator)
        tables.require_extension(theirs)


def test_an_extension_out_of_sight_is_refused_with_what_to_do(bare_url):
    with closing(Database(bare_url, read_only=False)) as bare, bare.transaction() as connection:
        connection.execute(text("CREATE SCHEMA apart"))
        connection.execute(text("CREATE EXTENSION vector SCHEMA apart"))
    with (
        closing(Database(bare_url, read_only=False)) as bare,
        pytest.raises(SettingsError, match="add that one to search_path"),
    ):
        tables.require_extension(bare)
