"""How fast a task's items come into the catalogue, against ``Session.add_all`` of the same rows.

Run ``python -m benchmarks.catalog_insert``; with ``--database-url`` of an empty PostgreSQL database, there.
Rounds alternate; each inserts into a fresh catalogue, and both commit equally often.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from benchmarks.documents import append_result
from benchmarks.rows.catalog_insert import publication
from cli.machine import environment
from continual_dml.records import Publication
from storage.catalog import publish, rows, schema
from storage.catalog.engine import Database
from storage.catalog.publish import Reservation
from storage.catalog.rows import ROWS_PER_TRANSACTION
from storage.catalog.tables import Base, Category, Item, Task

RESULTS = Path("benchmarks/results/catalog_insert.jsonl")


def ours(database: Database, reservation: Reservation, found: Publication) -> None:
    """Insert as an ingest does."""
    rows.insert_in_chunks(
        database, rows.of_publication(reservation.generation_id, reservation.task_id, found)
    )


def add_all(database: Database, reservation: Reservation, found: Publication) -> None:
    """Insert the same rows as objects of the ORM."""
    born = reservation.generation_id
    task = Task(task_id=1, generation_id=born, name=found.task_name, source=found.source, method=found.method)
    categories = [
        Category(category_id=n, generation_id=born, name=name) for n, name in found.new_categories.items()
    ]
    items = [
        Item(
            item_id=item.item_id,
            generation_id=born,
            task_id=1,
            category_id=item.category_id,
            role=item.role.value,
            content_hash=item.content_hash,
            path=item.path,
        )
        for item in found.items
    ]
    starts = range(0, len(items), ROWS_PER_TRANSACTION)
    batches: list[Sequence[Base]] = [items[start : start + ROWS_PER_TRANSACTION] for start in starts]
    batches = [[task], categories, *batches]
    for objects in batches:
        with database.transaction() as connection, Session(connection) as session:
            session.add_all(objects)
            session.flush()


def timed(url: str, way: Callable[[Database, Reservation, Publication], None], found: Publication) -> float:
    """Return the seconds that one way takes in a catalogue without items, which it leaves without any."""
    with closing(Database(url, read_only=False)) as database:
        schema.migrate(database)
        reservation = publish.reserve(database, "task")
        begin = time.perf_counter()
        way(database, reservation, found)
        seconds = time.perf_counter() - begin
        with database.transaction() as connection:
            count = connection.execute(select(func.count()).select_from(Item)).scalar()
            if count != len(found.items):
                sys.exit(f"{count} items were inserted instead of {len(found.items)}")
        publish.abandon(database, reservation.generation_id)
    return seconds


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.catalog_insert", description=__doc__)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--database-url", help="of an empty PostgreSQL database; an SQLite file otherwise")
    parser.add_argument("--record", action="store_true", help=f"add the result to {RESULTS}")
    options = parser.parse_args(arguments)
    found = publication(options.items)
    seconds: dict[str, list[float]] = {"ours": [], "add_all": []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds):
            for name, way in (("ours", ours), ("add_all", add_all)):
                url = options.database_url or f"sqlite:///{folder}/{name}-{number}.db"
                seconds[name].append(timed(url, way, found))
    ratios = sorted(slow / fast for slow, fast in zip(seconds["add_all"], seconds["ours"], strict=True))
    line = {
        "database": "postgresql" if options.database_url else "sqlite",
        "items": options.items,
        "seconds": {name: round(statistics.median(values), 3) for name, values in seconds.items()},
        "add_all / ours": [round(ratio, 2) for ratio in ratios],
    }
    print(line)
    if options.record:
        append_result(RESULTS, {"environment": environment(), **line})


if __name__ == "__main__":
    main(sys.argv[1:])
