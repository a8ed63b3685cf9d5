"""The whole catalogue as lines of JSON, the same for every database: how it is backed up and moved."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Table, insert, select, text, update

from continual_dml.errors import CatalogError, CorruptIndex
from storage.catalog import queries
from storage.catalog.tables import Base, Head, Run, Task

_BATCH = 1000


def dump(connection: Connection) -> Iterator[bytes]:
    """Yield one line for each row, tables in the order in which they can be filled again.

    What a run that has not been published yet has inserted is left out, and the run counts as aborted. All
    lines are of one moment.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    unfinished = set(queries.unfinished_runs(connection))
    chosen = select(Task.task_id).where(Task.generation_id.in_(unfinished))
    own_tasks = set(connection.execute(chosen).scalars())
    for table in Base.metadata.sorted_tables:
        for row in connection.execute(select(table).order_by(*table.primary_key)).mappings():
            values = dict(row)
            if table.name == Run.__tablename__:
                if values["generation_id"] in unfinished:
                    values["state"] = "aborted"
            elif values.get("generation_id") in unfinished or values.get("task_id") in own_tasks:
                continue
            yield json.dumps([table.name, values], ensure_ascii=False, allow_nan=False).encode() + b"\n"


def load(connection: Connection, lines: Iterable[bytes], where: str) -> None:
    """Fill an empty catalogue, made by the migrations, with what :func:`dump` gave.

    Raises:
        CorruptIndex: a line is none of those.
        CatalogError: the catalogue is not empty.
    """
    if queries.newest_run(connection):
        raise CatalogError(f"the database of {where} holds a catalogue already: give an empty one")
    rows: dict[str, list[dict[str, Any]]] = {table.name: [] for table in Base.metadata.sorted_tables}
    for number, line in enumerate(lines, start=1):
        name, values = _row(line, f"line {number} of the catalogue in {where}", rows)
        rows[name].append(values)
    fill(connection, rows)


def fill(connection: Connection, rows: Mapping[str, list[dict[str, Any]]]) -> None:
    """Insert rows, by table and each by column, into an empty catalogue, made by the migrations."""
    for table in Base.metadata.sorted_tables:
        _fill(connection, table, rows.get(table.name, []))


def _row(line: bytes, what: str, known: Container[str]) -> tuple[str, dict[str, Any]]:
    try:
        name, values = json.loads(line)
        if name not in known:
            raise ValueError(f"no table is called {name}")
        return name, dict(values)
    except (ValueError, TypeError) as error:
        raise CorruptIndex(f"{what} is no row of one: {error}") from error


def _fill(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if table.name == Head.__tablename__:  # the migrations made its single row
        for row in rows:
            connection.execute(update(Head).values(generation_id=row["generation_id"]))
        return
    for start in range(0, len(rows), _BATCH):
        connection.execute(insert(table), rows[start : start + _BATCH])
