"""Reads of the catalogue, each through the eyes of one generation: rows of others stay unseen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, and_, case, func, select, text
from sqlalchemy.orm import InstrumentedAttribute

from continual_dml.records import CatalogItem, Generation, PartCount, Role, TaskSummary
from storage.catalog import statements
from storage.catalog.engine import revision_of
from storage.catalog.statements import RunStatement
from storage.catalog.tables import Ancestor, Category, GenerationRow, Head, Item, Refusal, Removal, Run, Task

_BATCH = 500
_GENERATION = select(
    GenerationRow.generation_id,
    GenerationRow.parent_id,
    GenerationRow.task_id,
    GenerationRow.manifest_sha256,
    GenerationRow.created_at,
)
_Key = TypeVar("_Key", int, str)


def head(connection: Connection) -> Generation | None:
    """Return the live generation, or None before the first task."""
    return statements.read_head(_runner(connection))


def generation(connection: Connection, generation_id: int) -> Generation | None:
    """Return a published generation, or None where there is none of this number."""
    row = connection.execute(_GENERATION.where(GenerationRow.generation_id == generation_id)).first()
    return None if row is None else Generation(*row)


def named_generation(connection: Connection, wanted: str) -> Generation:
    """Return the published generation that a number or a tag names.

    Raises:
        UnknownChoice: neither.
    """
    return statements.read_generation(_runner(connection), wanted)


def generations(connection: Connection) -> list[Generation]:
    """Return all published generations, newest first."""
    rows = connection.execute(_GENERATION.order_by(GenerationRow.generation_id.desc()))
    return [Generation(*row) for row in rows]


def parts(connection: Connection, generation_id: int) -> list[PartCount]:
    """Return how many gallery vectors of which birth generation are in which state."""
    return statements.read_parts(_runner(connection), generation_id)


def head_id_for_update(connection: Connection) -> int | None:
    """Return the live generation's number and keep others from moving it until the transaction ends."""
    return connection.execute(select(Head.generation_id).with_for_update()).scalar_one()


def tasks(connection: Connection, generation_id: int) -> list[TaskSummary]:
    """Return the tasks that ``generation_id`` has learned, oldest first."""
    return statements.read_tasks(_runner(connection), generation_id)


def additions(connection: Connection, generation_id: int) -> list[TaskSummary]:
    """Return what was added on the way to ``generation_id`` without learning, oldest first."""
    return statements.read_additions(_runner(connection), generation_id)


def lineage(connection: Connection, generation_id: int) -> list[int]:
    """Return ``generation_id`` and all that it descends from, newest first."""
    chosen = select(Ancestor.ancestor_id).where(Ancestor.generation_id == generation_id)
    return list(connection.execute(chosen.order_by(Ancestor.ancestor_id.desc())).scalars())


def is_published(connection: Connection, generation_id: int) -> bool:
    """Say whether the commit point of ``generation_id`` was passed."""
    chosen = select(GenerationRow.generation_id).where(GenerationRow.generation_id == generation_id)
    return connection.execute(chosen).first() is not None


def refusals(connection: Connection) -> dict[int, str]:
    """Return the generations that their quality gate refused, and why; some may have gone live since."""
    return {row.generation_id: row.reason for row in connection.execute(select(Refusal))}


def newest_run(connection: Connection) -> int:
    """Return the largest number that was ever given to a generation; 0 before the first or without tables."""
    if revision_of(connection) is None:
        return 0
    return connection.execute(select(func.max(Run.generation_id))).scalar() or 0


def unfinished_runs(connection: Connection) -> list[int]:
    """Return the runs that a crash left half done."""
    return list(connection.execute(select(Run.generation_id).where(Run.state == "staging")).scalars())


def category_ids(connection: Connection, generation_id: int) -> dict[str, int]:
    """Return the visible categories, name to id."""
    chosen = select(Category.name, Category.category_id).where(_seen(Category.generation_id, generation_id))
    return {row.name: row.category_id for row in connection.execute(chosen.order_by(Category.category_id))}


def items(connection: Connection, generation_id: int, item_ids: Sequence[int]) -> dict[int, CatalogItem]:
    """Return the visible ones of ``item_ids``, by id."""
    found: dict[int, CatalogItem] = {}
    for batch in batches(item_ids):
        for item in _read_items(connection, generation_id, Item.item_id.in_(batch), picked=True):
            found[item.item_id] = item
    return found


def items_by_hash(
    connection: Connection, generation_id: int, hashes: Sequence[str]
) -> dict[str, CatalogItem]:
    """Return the visible items whose content is one of ``hashes``; of equal ones the oldest."""
    found: dict[str, CatalogItem] = {}
    for batch in batches(hashes):
        for item in _read_items(connection, generation_id, Item.content_hash.in_(batch), picked=True):
            found.setdefault(item.content_hash, item)
    return found


def query_items(connection: Connection, generation_id: int, per_task: int | None = None) -> list[CatalogItem]:
    """Return visible queries, by id: of each task at most ``per_task``, the first by their content's hash."""
    asks = Item.role == Role.QUERY.value
    if per_task is None:
        return _read_items(connection, generation_id, asks)
    place = func.row_number().over(partition_by=Item.task_id, order_by=(Item.content_hash, Item.item_id))
    placed = select(Item.item_id, place.label("place")).where(_sees_item(generation_id), asks).subquery()
    first = select(placed.c.item_id).where(placed.c.place <= per_task)
    return _read_items(connection, generation_id, Item.item_id.in_(first))


def gallery_labels(connection: Connection, generation_id: int) -> list[tuple[int, int, int]]:
    """Return id, category id and task id of every visible gallery item, ascending by id."""
    chosen = (
        select(Item.item_id, Item.category_id, Item.task_id)
        .where(Item.role == Role.GALLERY.value, _sees_item(generation_id))
        .order_by(Item.item_id)
    )
    return [(item, category, task) for item, category, task in connection.execute(chosen)]


def gallery_ids(connection: Connection, generation_id: int) -> list[int]:
    """Return the ids of all visible gallery items, ascending."""
    visible = _sees_item(generation_id)
    chosen = select(Item.item_id).where(Item.role == Role.GALLERY.value, visible).order_by(Item.item_id)
    return list(connection.execute(chosen).scalars())


def gallery_ids_where(
    connection: Connection, generation_id: int, condition: ColumnElement[bool]
) -> list[int]:
    """Return the ids of the visible gallery items that meet a condition over item, category, task."""
    chosen = (
        select(Item.item_id)
        .join(Category, Category.category_id == Item.category_id)
        .join(Task, Task.task_id == Item.task_id)
        .where(_sees_item(generation_id), Item.role == Role.GALLERY.value, condition)
        .order_by(Item.item_id)
    )
    return list(connection.execute(chosen).scalars())


def items_page(
    connection: Connection,
    generation_id: int,
    after: int,
    limit: int,
    *,
    task_id: int | None = None,
    category_id: int | None = None,
    role: Role | None = None,
) -> list[CatalogItem]:
    """Return the first ``limit`` visible items above id ``after``, by id, of a task, category and role."""
    wanted = {Item.task_id: task_id, Item.category_id: category_id, Item.role: role and role.value}
    conditions = [column == value for column, value in wanted.items() if value is not None]
    return _read_items(connection, generation_id, and_(Item.item_id > after, *conditions), limit)


def category_counts(
    connection: Connection, generation_id: int, task_id: int | None = None
) -> list[tuple[int, str, int, int]]:
    """Return id, name, gallery images and queries of the categories that a task has images of, by name.

    None takes the visible images of all tasks together.
    """
    asked = func.sum(case((Item.role == Role.QUERY.value, 1), else_=0))
    of_task = [] if task_id is None else [Item.task_id == task_id]
    chosen = (
        select(Category.category_id, Category.name, func.count() - asked, asked)
        .join(Item, Item.category_id == Category.category_id)
        .where(_sees_item(generation_id), *of_task)
        .group_by(Category.category_id, Category.name)
        .order_by(Category.name)
    )
    return [(number, name, images, queries) for number, name, images, queries in connection.execute(chosen)]


def items_where(
    connection: Connection, generation_id: int, condition: ColumnElement[bool]
) -> list[CatalogItem]:
    """Return the visible items, queries too, that meet a condition over item, category, task; by id."""
    return _read_items(connection, generation_id, condition)


def all_query_hashes(connection: Connection) -> set[str]:
    """Return the contents of every query that some generation may see: their copies must stay."""
    chosen = select(Item.content_hash).where(Item.role == Role.QUERY.value, Item.content_hash != "")
    return set(connection.execute(chosen).scalars())


def _runner(connection: Connection) -> RunStatement:
    def run(statement: str, values: Mapping[str, int]) -> Sequence[Sequence[Any]]:
        return connection.execute(text(statement), values).all()

    return run


def _seen(born: InstrumentedAttribute[int] | ColumnElement[int], generation_id: int) -> ColumnElement[bool]:
    return born.in_(select(Ancestor.ancestor_id).where(Ancestor.generation_id == generation_id))


def _sees_item(generation_id: int, *, picked: bool = False) -> ColumnElement[bool]:
    """Return the condition that an item is visible; ``picked``: few are looked at, chosen otherwise.

    The sum keeps SQLite from going through all items of a generation to find some hundred of them.
    """
    removed = (
        select(Removal.item_id)
        .join(Ancestor, Ancestor.ancestor_id == Removal.generation_id)
        .where(Ancestor.generation_id == generation_id)
    )
    born = Item.generation_id + 0 if picked else Item.generation_id
    return and_(_seen(born, generation_id), Item.item_id.not_in(removed))


def _read_items(
    connection: Connection,
    generation_id: int,
    condition: ColumnElement[bool],
    limit: int | None = None,
    *,
    picked: bool = False,
) -> list[CatalogItem]:
    chosen = (
        select(
            Item.item_id,
            Item.category_id,
            Category.name,
            Item.task_id,
            Task.name,
            Item.role,
            Item.content_hash,
            Item.path,
        )
        .join(Category, Category.category_id == Item.category_id)
        .join(Task, Task.task_id == Item.task_id)
        .where(_sees_item(generation_id, picked=picked), condition)
        .order_by(Item.item_id)
        .limit(limit)
    )
    return [
        CatalogItem(item_id, category_id, category, task_id, task, Role(role), content_hash, path)
        for item_id, category_id, category, task_id, task, role, content_hash, path in connection.execute(
            chosen
        )
    ]


def batches(keys: Iterable[_Key]) -> Iterator[list[_Key]]:
    """Yield the distinct ``keys`` in order, a few hundred at a time: a statement takes no more values."""
    unique = sorted(set(keys))
    for start in range(0, len(unique), _BATCH):
        yield unique[start : start + _BATCH]
