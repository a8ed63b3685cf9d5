"""The writes of the catalogue: reserve a number (T1), insert invisible rows (T2), make them live (T3).

A crash before T3 leaves the old generation live and rows that nobody sees; :func:`abandon` removes them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from itertools import islice

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.orm import InstrumentedAttribute

from continual_dml.errors import CatalogError
from continual_dml.records import Deletion, Generation, Measurement, PartCount, Publication
from storage.catalog import queries
from storage.catalog.bulk import Row, insert_many
from storage.catalog.engine import Database
from storage.catalog.postgres import announce
from storage.catalog.tables import (
    Ancestor,
    Base,
    Category,
    GalleryPartRow,
    GenerationRow,
    Head,
    Item,
    MeasurementRow,
    Quarantine,
    Removal,
    Run,
    Task,
)
from storage.failpoints import reach

ROWS_PER_TRANSACTION = 20_000
_MEASURED = ("metric", "k", "scope", "task_id", "value", "queries", "without_positive")


@dataclass(frozen=True, slots=True)
class Reservation:
    """The numbers of a generation that is being built on ``base``."""

    generation_id: int
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
            base=queries.head(connection),
            task_id=_next(connection, Task.task_id),
            first_category_id=_next(connection, Category.category_id),
            first_item_id=_next(connection, Item.item_id),
            started_at=started_at,
        )
        connection.execute(
            insert(Run).values(
                generation_id=reservation.generation_id,
                task_name=storable(task_name),
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
        if storable(name) != name:
            raise CatalogError(f"the category name {name!a} is no valid text: rename its folder")
        if name in taken:
            raise CatalogError(f"the category '{name}' is catalogued already: nothing was published")


def insert_rows(database: Database, reservation: Reservation, publication: Publication) -> None:
    """T2: insert what the task brings; nothing of it is visible before :func:`commit`."""
    born, task = reservation.generation_id, reservation.task_id
    name, source = storable(publication.task_name), storable(publication.source)
    _insert(
        database,
        Task,
        ("generation_id", "task_id", "name", "source", "method"),
        [(born, task, name, source, publication.method)],
    )
    _insert(
        database,
        Category,
        ("generation_id", "category_id", "name"),
        ((born, number, name) for number, name in publication.new_categories.items()),
    )
    _insert(
        database,
        Item,
        ("generation_id", "task_id", "item_id", "category_id", "role", "content_hash", "path"),
        (
            (born, task, one.item_id, one.category_id, one.role.value, one.content_hash, storable(one.path))
            for one in publication.items
        ),
    )
    _insert(
        database,
        Quarantine,
        ("task_id", "position", "path", "reason"),
        (
            (task, position, storable(file.path), storable(file.reason))
            for position, file in enumerate(publication.quarantined)
        ),
    )


def insert_removals(database: Database, generation_id: int, deletion: Deletion) -> None:
    """T2 of a deletion: nothing is gone before :func:`commit`."""
    rows = ((generation_id, item_id, deletion.purged) for item_id in deletion.item_ids)
    _insert(database, Removal, ("generation_id", "item_id", "purged"), rows)


def commit(
    database: Database,
    generation: Generation,
    parts: Sequence[PartCount],
    measurements: Sequence[Measurement] = (),
) -> None:
    """T3: the commit point. ``generation`` becomes the live one, or nothing changes.

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
            connection.execute(update(Head).values(generation_id=number))
            connection.execute(update(Run).where(Run.generation_id == number).values(state="committed"))
            announce(connection, number)
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
        for table in (Removal, Item, Category, Task):
            connection.execute(delete(table).where(table.generation_id == generation_id))
        connection.execute(update(Run).where(Run.generation_id == generation_id).values(state="aborted"))


def storable(value: str) -> str:
    """Return ``value`` as text that every database takes: file names may hold bytes that are no Unicode."""
    if value.isascii() and "\x00" not in value:
        return value
    return value.encode("utf-8", "backslashreplace").decode("utf-8").replace("\x00", "\\x00")


def _next(connection: Connection, column: InstrumentedAttribute[int]) -> int:
    return (connection.execute(select(func.max(column))).scalar() or 0) + 1


def _insert(database: Database, table: type[Base], columns: Sequence[str], rows: Iterable[Row]) -> None:
    remaining = iter(rows)
    while batch := list(islice(remaining, ROWS_PER_TRANSACTION)):
        with database.transaction() as connection:
            insert_many(connection, table, columns, batch)


def _insert_generation(
    connection: Connection,
    generation: Generation,
    parts: Sequence[PartCount],
    measurements: Sequence[Measurement],
) -> None:
    number = generation.generation_id
    connection.execute(insert(GenerationRow).values(**asdict(generation)))
    older = [] if generation.parent_id is None else queries.lineage(connection, generation.parent_id)
    lineage = [(number, ancestor) for ancestor in [number, *older]]
    insert_many(connection, Ancestor, ("generation_id", "ancestor_id"), lineage)
    counts = [(number, part.birth_generation, part.state.value, part.items) for part in parts]
    insert_many(
        connection, GalleryPartRow, ("generation_id", "birth_generation_id", "state", "items"), counts
    )
    measured = [(number, *_measured(one)) for one in measurements]
    insert_many(connection, MeasurementRow, ("generation_id", *_MEASURED), measured)


def _measured(one: Measurement) -> Row:
    value = one.value if math.isfinite(one.value) else None
    return one.metric, one.k, one.scope, one.task_id, value, one.queries, one.without_positive
