"""The writes of the catalogue: reserve a number (T1), and make inserted rows live (T3).

A crash before T3 leaves the old generation live and rows that nobody sees; :func:`abandon` removes them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.orm import InstrumentedAttribute

from continual_dml.errors import CatalogError
from continual_dml.records import Generation, Measurement, PartCount
from storage.catalog import queries, rows
from storage.catalog.bulk import insert_many
from storage.catalog.engine import Database
from storage.catalog.postgres import announce
from storage.catalog.rows import Rows
from storage.catalog.tables import (
    Ancestor,
    Category,
    Head,
    Item,
    Quarantine,
    Refusal,
    Removal,
    Run,
    Task,
)
from storage.failpoints import reach


@dataclass(frozen=True, slots=True)
class Reservation:
    """The numbers of a generation that is being built on ``base``; ``name`` says what it is built for."""

    generation_id: int
    name: str
    base: Generation | None
    task_id: int
    first_category_id: int
    first_item_id: int
    started_at: str


def reserve(database: Database, task_name: str) -> Reservation:
    """T1: give out a generation number that is never used again, and the first free ids."""
    started_at = datetime.now(timezone.utc).isoformat(timespec="seconds")
    with database.transaction() as connection:
        queries.head_id_for_update(connection)
        reservation = Reservation(
            generation_id=_next(connection, Run.generation_id),
            name=rows.storable(task_name),
            base=queries.head(connection),
            task_id=_next(connection, Task.task_id),
            first_category_id=_next(connection, Category.category_id),
            first_item_id=_next(connection, Item.item_id),
            started_at=started_at,
        )
        connection.execute(
            insert(Run).values(
                generation_id=reservation.generation_id,
                task_name=reservation.name,
                state="staging",
                started_at=started_at,
            )
        )
    return reservation


def check_names(database: Database, base: Generation | None, names: Iterable[str]) -> None:
    """Accept ``names`` of new categories.

    Raises:
        CatalogError: one is no text that every database takes, or ``base`` sees a category of that name.
    """
    taken: Collection[str] = ()
    if base is not None:
        with database.transaction() as connection:
            taken = queries.category_ids(connection, base.generation_id)
    for name in names:
        if rows.storable(name) != name:
            raise CatalogError(f"the category name {name!a} is no valid text: rename its folder")
        if name in taken:
            raise CatalogError(f"the category '{name}' is catalogued already: nothing was published")


def commit(
    database: Database,
    generation: Generation,
    parts: Sequence[PartCount],
    measurements: Sequence[Measurement] = (),
) -> None:
    """T3: the commit point. ``generation`` is published and becomes the live one, or nothing changes.

    One that its quality gate refused (:meth:`queries.refusals`, a row that was inserted before) is published
    and does not become the live one.

    Args:
        database: the catalogue's.
        generation: to publish.
        parts: of its gallery.
        measurements: of how well it retrieves.

    Raises:
        CatalogError: the live generation is not the parent any more, or the database refused.
    """
    number = generation.generation_id
    try:
        with database.transaction() as connection:
            live = queries.head_id_for_update(connection)
            if live != generation.parent_id:
                raise CatalogError(
                    f"generation {number} was built on {generation.parent_id}, but {live} is live now in "
                    f"{database.label}: run the command again"
                )
            _insert_generation(connection, generation, parts, measurements)
            if number not in queries.refusals(connection):
                connection.execute(update(Head).values(generation_id=number))
                announce(connection, number)
            connection.execute(update(Run).where(Run.generation_id == number).values(state="committed"))
            reach("before-commit")
    except CatalogError:
        # An error inside COMMIT leaves open whether it happened: ask before telling the user anything.
        with database.transaction() as connection:
            if not queries.is_published(connection, number):
                raise


def abandon(database: Database, generation_id: int) -> None:
    """Remove the rows of a generation that was not published; its number stays taken."""
    with database.transaction() as connection:
        if queries.is_published(connection, generation_id):
            return
        own_tasks = select(Task.task_id).where(Task.generation_id == generation_id)
        connection.execute(delete(Quarantine).where(Quarantine.task_id.in_(own_tasks)))
        for table in (Refusal, Removal, Item, Category, Task):
            connection.execute(delete(table).where(table.generation_id == generation_id))
        connection.execute(update(Run).where(Run.generation_id == generation_id).values(state="aborted"))


def _next(connection: Connection, column: InstrumentedAttribute[int]) -> int:
    return (connection.execute(select(func.max(column))).scalar() or 0) + 1


def _insert_generation(
    connection: Connection,
    generation: Generation,
    parts: Sequence[PartCount],
    measurements: Sequence[Measurement],
) -> None:
    number = generation.generation_id
    older = [] if generation.parent_id is None else queries.lineage(connection, generation.parent_id)
    lineage = Rows(
        Ancestor, ("generation_id", "ancestor_id"), [(number, ancestor) for ancestor in [number, *older]]
    )
    for one in (rows.of_generation(generation), lineage, *rows.of_results(number, parts, measurements)):
        insert_many(connection, one.table, one.columns, one.values)
