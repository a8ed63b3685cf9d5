"""Nearest vectors by SQL: all queries of a batch in one statement."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

Found = tuple[NDArray[np.float32], NDArray[np.int64]]
WIDEST = 1000
"""How many candidates a search in the graph may keep; the extension takes no more."""
_LEAST_WIDTH = 128
_MOST_VISITED = 20_000


def by_graph(connection: Connection, table: str, queries: NDArray[np.float32], fetched: int) -> Found:
    """Return similarities and ids (Q, fetched) of the nearest that the graph leads to, per query (Q, D).

    Where it leads to fewer, the row ends in ids below 0. The scan goes on past its first candidates until it
    has enough or has visited too many: without that, one that is cut short answers with what it has.
    """
    width = str(min(WIDEST, max(_LEAST_WIDTH, 2 * fetched)))
    _set(
        connection,
        {
            "hnsw.ef_search": width,
            "hnsw.iterative_scan": "strict_order",
            "hnsw.max_scan_tuples": str(_MOST_VISITED),
            "enable_seqscan": "off",
            "jit": "off",
        },
    )
    query = _statement(table, "", "embedding <#> asked.vector")
    return _asked(connection, query, queries, fetched, {})


def by_comparing(
    connection: Connection,
    table: str,
    queries: NDArray[np.float32],
    fetched: int,
    among: NDArray[np.int64] | None = None,
) -> Found:
    """Return the same as :func:`by_graph`, exactly, of all items or of those ``among`` some ids (n,).

    A row that ends in ids below 0 says that the table holds fewer.
    """
    _set(
        connection, {"enable_indexscan": "off", "jit": "off"}
    )  # the graph is an index; else it might be used
    restriction, values = "", {}
    if among is not None:
        restriction = "WHERE item_id = ANY(CAST(:ids AS bigint[]))"
        values = {"ids": among.tolist()}
    query = _statement(table, restriction, "embedding <#> asked.vector, item_id")
    return _asked(connection, query, queries, fetched, values)


def _statement(table: str, restriction: str, order: str) -> str:
    return (
        "SELECT asked.number, found.item_id, found.similarity "  # noqa: S608 - all of it is our own text
        "FROM unnest(CAST(:queries AS vector[])) WITH ORDINALITY AS asked (vector, number) "
        f"CROSS JOIN LATERAL (SELECT item_id, -(embedding <#> asked.vector) AS similarity FROM {table} "
        f"{restriction} ORDER BY {order} LIMIT :fetched) AS found"
    )


def _asked(
    connection: Connection,
    query: str,
    queries: NDArray[np.float32],
    fetched: int,
    values: dict[str, object],
) -> Found:
    texts = [str(row) for row in queries.tolist()]  # enough digits to come back as the same float32
    rows = connection.execute(text(query), {"queries": texts, "fetched": fetched, **values}).all()
    similarities = np.full((len(queries), fetched), -np.inf, dtype=np.float32)
    ids = np.full((len(queries), fetched), -1, dtype=np.int64)
    filled = [0] * len(queries)
    for number, item_id, similarity in rows:
        place = number - 1, filled[number - 1]
        ids[place], similarities[place] = item_id, similarity
        filled[number - 1] += 1
    return similarities, ids


def _set(connection: Connection, values: dict[str, str]) -> None:
    """Change settings of the server up to the end of the transaction."""
    for name, value in values.items():
        connection.execute(text("SELECT set_config(:name, :value, true)"), {"name": name, "value": value})
