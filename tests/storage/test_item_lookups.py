"""Items are looked up by their numbers, however many others a generation has."""

from __future__ import annotations

from sqlalchemy import event

from storage.catalog import queries
from storage.catalog.engine import Database


def test_a_few_hundred_items_are_found_by_their_keys_and_not_by_reading_all(workspace):
    database = Database(workspace.database_url, read_only=True)
    asked: list[tuple[str, object]] = []
    with database.transaction() as connection:
        event.listen(connection, "before_cursor_execute", lambda *about: asked.append((about[2], about[3])))
        queries.items(connection, 1, list(range(1, 501)))
        queries.items_by_hash(connection, 1, [f"{number:064x}" for number in range(500)])
        plans = [
            connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all() for sql, values in asked[:2]
        ]
    database.close()
    assert [rows[0][-1] for rows in plans] == [
        "SEARCH item USING INTEGER PRIMARY KEY (rowid=?)",
        "SEARCH item USING INDEX ix_item_content_hash (content_hash=?)",
    ]
