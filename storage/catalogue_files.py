"""The catalogue's rows beside the generation that needs them, so that a lost catalogue can be built again.

Each generation writes one file with what it brought, and takes over those of the generations that it descends
from. What was deleted is in none of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from continual_dml.errors import CorruptIndex
from storage.artefacts import PublishedArtefacts
from storage.catalog import born, queries, rows
from storage.catalog.publish import Reservation
from storage.catalog.rows import Rows
from storage.catalog.tables import Base
from storage.manifest import catalogue_name
from storage.verified_files import ADVICE

_ROWS_PER_LINE = 1000
_KEYS = {
    table.name: tuple(column.name for column in table.primary_key) for table in Base.metadata.sorted_tables
}


@dataclass(slots=True)
class CatalogueFiles:
    """Files to write, by name, and the names of those to take over from the parent as they are."""

    written: dict[str, bytes] = field(default_factory=dict)
    inherited: list[str] = field(default_factory=list)


def files_of_next(
    connection: Connection,
    reservation: Reservation,
    parent: PublishedArtefacts | None,
    own: Sequence[Rows],
    removed: Sequence[int],
) -> CatalogueFiles:
    """Return the files of a generation that is about to be published.

    Args:
        connection: to the catalogue, which knows nothing of the new generation yet.
        reservation: its numbers.
        parent: the files of the live generation; None before the first task.
        own: what it brings.
        removed: numbers of images that it is the first not to see.
    """
    found = CatalogueFiles()
    brought = [rows.of_run(reservation.generation_id, reservation.name, reservation.started_at), *own]
    base = reservation.base
    if base is not None and parent is not None:
        brought.append(rows.of_generation(base))
        changed = born.births_of(connection, removed)
        hidden = born.removed_on_the_way(connection, base.generation_id) | set(removed)
        for birth in queries.lineage(connection, base.generation_id):
            name = catalogue_name(birth)
            if name in parent.manifest.files and birth not in changed:
                found.inherited.append(name)
            else:  # also where an earlier cdml wrote none
                found.written[name] = render(born.born_in(connection, birth, hidden))
    found.written[catalogue_name(reservation.generation_id)] = render(brought)
    return found


def render(found: Sequence[Rows]) -> bytes:
    """Return rows as lines of JSON; equal rows in any order give equal bytes."""
    lines = []
    for one in sorted(found, key=lambda one: one.table.__tablename__):
        order = sorted(range(len(one.columns)), key=lambda place: one.columns[place])
        columns = [one.columns[place] for place in order]
        keys = [one.columns.index(name) for name in _KEYS[one.table.__tablename__]]
        ordered = sorted(one.values, key=lambda row: tuple(row[place] for place in keys))
        for start in range(0, len(ordered), _ROWS_PER_LINE):
            values = [[row[place] for place in order] for row in ordered[start : start + _ROWS_PER_LINE]]
            lines.append(
                json.dumps([one.table.__tablename__, columns, values], ensure_ascii=False, allow_nan=False)
            )
    return "".join(f"{line}\n" for line in lines).encode()


def disagreement(connection: Connection, artefacts: PublishedArtefacts) -> str | None:
    """Say which of a generation's files tells other rows than the catalogue does, None where none does.

    Raises:
        CorruptIndex: a file is damaged.
    """
    hidden = born.removed_on_the_way(connection, artefacts.generation.generation_id)
    for birth in queries.lineage(connection, artefacts.generation.generation_id):
        name = catalogue_name(birth)
        if name not in artefacts.manifest.files:  # an earlier cdml published it
            continue
        told = list(parse(artefacts.read_bytes(name), str(artefacts.path(name))))
        known = {
            (one.table.__tablename__, key_of(one.table.__tablename__, values)): values
            for one in born.born_in(connection, birth, hidden)
            for values in (dict(zip(one.columns, row, strict=True)) for row in one.values)
        }
        same = len(told) == len(known) and all(
            values.items() <= known.get((table, key_of(table, values)), {}).items() for table, values in told
        )
        if not same:
            return f"{artefacts.path(name)} and the catalogue tell different things"
    return None


def key_of(table: str, values: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the primary key of a row, given by column."""
    return tuple(values[name] for name in _KEYS[table])


def parse(content: bytes, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield table and values by column of each row in a file whose hash was checked before.

    Raises:
        CorruptIndex: it is no such file.
    """
    try:
        for line in content.splitlines():
            table, columns, values = json.loads(line)
            if table not in _KEYS:
                raise ValueError(f"no table is called {table}")
            if not set(_KEYS[table]) <= set(columns):
                raise ValueError(f"a row of {table} has no key")
            for row in values:
                yield table, dict(zip(columns, row, strict=True))
    except (ValueError, TypeError) as error:
        raise CorruptIndex(f"{where} holds no rows of a catalogue ({error}): {ADVICE}") from error
