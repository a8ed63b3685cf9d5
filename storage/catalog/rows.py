"""The catalogue's rows as plain values: what a generation brings, to be inserted and to be kept beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import islice

from continual_dml.records import Deletion, Generation, Measurement, PartCount, Publication
from storage.catalog.bulk import Row, insert_many
from storage.catalog.engine import Database
from storage.catalog.tables import (
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

ROWS_PER_TRANSACTION = 20_000
_GENERATION = tuple(field.name for field in fields(Generation))


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of one table: ``values`` holds a tuple for each, in the order of ``columns``."""

    table: type[Base]
    columns: tuple[str, ...]
    values: Sequence[Row]


def of_run(generation_id: int, name: str, started_at: str) -> Rows:
    """Return the row of a run that was published."""
    columns = ("generation_id", "task_name", "state", "started_at")
    return Rows(Run, columns, [(generation_id, storable(name), "committed", started_at)])


def of_generation(generation: Generation) -> Rows:
    """Return the row of a published generation."""
    return Rows(GenerationRow, _GENERATION, [astuple(generation)])


def of_publication(generation_id: int, task_id: int, publication: Publication) -> list[Rows]:
    """Return what a task brings: itself, its categories, its items, what was left out, and a refusal."""
    task = (
        task_id, generation_id, storable(publication.task_name), storable(publication.source),
        publication.method,
    )  # fmt: skip
    categories = [(number, generation_id, name) for number, name in publication.new_categories.items()]
    items = [
        (
            one.item_id, generation_id, task_id, one.category_id, one.role.value, one.content_hash,
            storable(one.path),
        )
        for one in publication.items
    ]  # fmt: skip
    left_out = [
        (task_id, position, storable(file.path), storable(file.reason))
        for position, file in enumerate(publication.quarantined)
    ]
    return [
        Rows(Task, ("task_id", "generation_id", "name", "source", "method"), [task]),
        Rows(Category, ("category_id", "generation_id", "name"), categories),
        Rows(
            Item,
            ("item_id", "generation_id", "task_id", "category_id", "role", "content_hash", "path"),
            items,
        ),
        Rows(Quarantine, ("task_id", "position", "path", "reason"), left_out),
        of_refusal(generation_id, publication.refusal),
    ]


def of_refusal(generation_id: int, refusal: str | None) -> Rows:
    """Return what says why a quality gate keeps a generation from going live; no row where it does not."""
    values = [] if refusal is None else [(generation_id, storable(refusal))]
    return Rows(Refusal, ("generation_id", "reason"), values)


def of_deletion(generation_id: int, deletion: Deletion) -> list[Rows]:
    """Return what says that images are not seen any more."""
    gone = [(generation_id, item_id, deletion.purged) for item_id in deletion.item_ids]
    return [Rows(Removal, ("generation_id", "item_id", "purged"), gone)]


def of_results(
    generation_id: int, parts: Sequence[PartCount], measurements: Sequence[Measurement]
) -> list[Rows]:
    """Return what a generation says of its gallery, and how well it retrieves."""
    counts = [(generation_id, part.birth_generation, part.state.value, part.items) for part in parts]
    measured = [
        (generation_id, one.metric, one.k, one.scope, one.task_id, _finite(one.value), one.queries,
         one.without_positive)
        for one in measurements
    ]  # fmt: skip
    return [
        Rows(GalleryPartRow, ("generation_id", "birth_generation_id", "state", "items"), counts),
        Rows(
            MeasurementRow,
            ("generation_id", "metric", "k", "scope", "task_id", "value", "queries", "without_positive"),
            measured,
        ),
    ]


def insert_in_chunks(database: Database, found: Iterable[Rows]) -> None:
    """Insert rows that nobody sees yet, in transactions of bounded size."""
    for rows in found:
        remaining = iter(rows.values)
        while batch := list(islice(remaining, ROWS_PER_TRANSACTION)):
            with database.transaction() as connection:
                insert_many(connection, rows.table, rows.columns, batch)


def storable(value: str) -> str:
    """Return ``value`` as text that every database takes: file names may hold bytes that are no Unicode."""
    if value.isascii() and "\x00" not in value:
        return value
    return value.encode("utf-8", "backslashreplace").decode("utf-8").replace("\x00", "\\x00")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
