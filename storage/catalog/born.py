"""The rows that one generation brought, read back from the catalogue."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, select

from storage.catalog import queries
from storage.catalog.rows import Rows, of_generation
from storage.catalog.tables import (
    Ancestor,
    Base,
    Category,
    GalleryPartRow,
    GenerationRow,
    Item,
    MeasurementRow,
    Quarantine,
    Refusal,
    Removal,
    Run,
    Task,
)

_BROUGHT = (Run, Task, Category, Item, Removal, Refusal, GalleryPartRow, MeasurementRow)


def born_in(connection: Connection, generation_id: int, hidden: Collection[int]) -> list[Rows]:
    """Return the rows that ``generation_id`` brought, and that of its parent's generation.

    Args:
        connection: to the catalogue.
        generation_id: a published generation.
        hidden: numbers of items whose path and content hash are left empty.
    """
    found = [_rows(connection, table, generation_id) for table in _BROUGHT]
    items = next(rows for rows in found if rows.table is Item)
    found[found.index(items)] = _with_hidden(items, hidden)
    own_tasks = select(Task.task_id).where(Task.generation_id == generation_id)
    columns = tuple(column.name for column in Quarantine.__table__.columns)
    chosen = select(Quarantine.__table__).where(Quarantine.task_id.in_(own_tasks))
    found.append(Rows(Quarantine, columns, [tuple(row) for row in connection.execute(chosen)]))
    parent_id = connection.execute(
        select(GenerationRow.parent_id).where(GenerationRow.generation_id == generation_id)
    ).scalar()
    parent = None if parent_id is None else queries.generation(connection, parent_id)
    return found if parent is None else [*found, of_generation(parent)]


def removed_on_the_way(connection: Connection, generation_id: int) -> set[int]:
    """Return the numbers of all items that were deleted on the way to ``generation_id``."""
    chosen = select(Removal.item_id).join(Ancestor, Ancestor.ancestor_id == Removal.generation_id)
    return set(connection.execute(chosen.where(Ancestor.generation_id == generation_id)).scalars())


def births_of(connection: Connection, item_ids: Collection[int]) -> set[int]:
    """Return the generations that brought ``item_ids``."""
    found: set[int] = set()
    for batch in queries.batches(item_ids):
        found.update(connection.execute(select(Item.generation_id).where(Item.item_id.in_(batch))).scalars())
    return found


def _rows(connection: Connection, table: type[Base], generation_id: int) -> Rows:
    columns = tuple(column.name for column in table.__table__.columns)
    chosen = select(table.__table__).where(table.__table__.c.generation_id == generation_id)
    return Rows(table, columns, [tuple(row) for row in connection.execute(chosen)])


def _with_hidden(items: Rows, hidden: Collection[int]) -> Rows:
    number, content, path = map(items.columns.index, ("item_id", "content_hash", "path"))
    values = []
    for row in items.values:
        fields = list(row)
        if fields[number] in hidden:
            fields[content] = fields[path] = ""
        values.append(tuple(fields))
    return Rows(items.table, items.columns, values)
