"""Which generations stay, which one is live, and the names that users give them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, delete, exists, func, insert, select, update
from sqlalchemy.orm import aliased

from continual_dml.errors import CatalogError, UnknownChoice
from storage.catalog import queries
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
    Refusal,
    Removal,
    Tag,
    Task,
)
from storage.failpoints import reach


def published(connection: Connection) -> list[int]:
    """Return the numbers of all published generations, newest first."""
    chosen = select(GenerationRow.generation_id).order_by(GenerationRow.generation_id.desc())
    return list(connection.execute(chosen).scalars())


def required(connection: Connection) -> set[int]:
    """Return the generations whose files must be there: the live one and every tagged one."""
    live = queries.head(connection)
    return {*tags(connection).values(), *([] if live is None else [live.generation_id])}


def kept(connection: Connection, newest: int) -> list[int]:
    """Return the generations whose files stay, newest first.

    The ``newest`` of the live lineage, the live one among them, but none from before a purge; every tagged
    one; after a rollback and until something is published again, the ``newest`` of those that it undid, so
    that it can be undone; and for as long the ``newest`` of those that the quality gate refused. A refused
    one that was made live keeps its parent, so that this can be undone as well.
    """
    live = queries.head(connection)
    number = 0 if live is None else live.generation_id
    refused = queries.refusals(connection)
    later = [one for one in published(connection) if one > number]
    undone = [one for one in later if one not in refused][:newest]
    waiting = [one for one in later if one in refused][:newest]
    lineage = queries.lineage(connection, number)
    purge = select(func.max(Removal.generation_id)).where(Removal.purged, Removal.generation_id.in_(lineage))
    since = connection.execute(purge).scalar() or 0
    reach_back = max(newest, 2) if number in refused else newest
    recent = [one for one in lineage[:reach_back] if one >= since]
    return sorted({*recent, *undone, *waiting, *tags(connection).values()}, reverse=True)


def forget_unreachable(database: Database, reachable_from: Collection[int]) -> bool:
    """Delete the rows of published generations that none of ``reachable_from`` descends from.

    Returns:
        Whether there were any.
    """
    with database.transaction() as connection:
        seen = select(Ancestor.ancestor_id).where(Ancestor.generation_id.in_(reachable_from))
        gone = set(published(connection)) - set(connection.execute(seen).scalars())
        if not gone:
            return False
        own_tasks = select(Task.task_id).where(Task.generation_id.in_(gone))
        for result in (Refusal, Removal, MeasurementRow, GalleryPartRow, Ancestor, GenerationRow):
            _delete_of(connection, result, gone)
        connection.execute(delete(Quarantine).where(Quarantine.task_id.in_(own_tasks)))
        for born in (Item, Category, Task):
            _delete_of(connection, born, gone)
        reach("rows-forgotten")
    return True


def scrub_removed(database: Database, present: Collection[int]) -> bool:
    """Empty the path and the content hash of deleted images that none of the ``present`` generations sees.

    Returns:
        Whether there were any.
    """
    back = aliased(Ancestor)
    removed = (
        exists()
        .where(
            Removal.item_id == Item.item_id,
            Removal.generation_id == back.ancestor_id,
            back.generation_id == Ancestor.generation_id,
        )
        .correlate(Item, Ancestor)  # two levels up: SQLAlchemy looks up one by itself
    )
    seen = exists().where(
        Ancestor.generation_id.in_(present), Ancestor.ancestor_id == Item.generation_id, ~removed
    )
    deleted = Item.item_id.in_(select(Removal.item_id))
    with database.transaction() as connection:
        chosen = update(Item).where(deleted, Item.content_hash != "", ~seen)
        if connection.execute(chosen.values(content_hash="", path="")).rowcount == 0:
            return False
        reach("rows-scrubbed")
    return True


def held(connection: Connection, item_ids: Iterable[int]) -> list[int]:
    """Return those of ``item_ids`` that the catalogue still knows the content of."""
    found: list[int] = []
    for batch in queries.batches(item_ids):
        chosen = select(Item.item_id).where(Item.item_id.in_(batch), Item.content_hash != "")
        found += connection.execute(chosen.order_by(Item.item_id)).scalars()
    return found


def move_head(database: Database, expected: int | None, generation_id: int) -> None:
    """Make ``generation_id`` the live generation.

    Raises:
        CatalogError: ``expected`` is not live any more, or the database refused.
    """
    try:
        with database.transaction() as connection:
            live = queries.head_id_for_update(connection)
            if live != expected:
                raise CatalogError(
                    f"{live} is live now in {database.label}, not {expected}: run the command again"
                )
            connection.execute(update(Head).values(generation_id=generation_id))
            announce(connection, generation_id)
            reach("before-commit")
    except CatalogError:
        # An error inside COMMIT leaves open whether it happened.
        with database.transaction() as connection:
            now = queries.head(connection)
            if now is None or now.generation_id != generation_id:
                raise


def tags(connection: Connection) -> dict[str, int]:
    """Return all tags, name to generation."""
    return {row.name: row.generation_id for row in connection.execute(select(Tag).order_by(Tag.name))}


def set_tag(database: Database, name: str, generation_id: int) -> None:
    """Give a generation a name; one that another has moves over.

    Raises:
        UnknownChoice: no such generation was published.
    """
    with database.transaction() as connection:
        if not queries.is_published(connection, generation_id):
            raise UnknownChoice("generation", str(generation_id), map(str, published(connection)))
        connection.execute(delete(Tag).where(Tag.name == name))
        connection.execute(insert(Tag).values(name=name, generation_id=generation_id))


def delete_tag(database: Database, name: str) -> None:
    """Take a name away.

    Raises:
        UnknownChoice: there is no such tag.
    """
    with database.transaction() as connection:
        known = tags(connection)
        if name not in known:
            raise UnknownChoice("tag", name, known)
        connection.execute(delete(Tag).where(Tag.name == name))


def _delete_of(connection: Connection, table: type[Base], generations: Collection[int]) -> None:
    connection.execute(delete(table).where(table.generation_id.in_(generations)))  # type: ignore[attr-defined]
