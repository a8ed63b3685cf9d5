"""Builds a lost catalogue again from the rows that every generation keeps beside its files."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from continual_dml.errors import CatalogError, CdmlError, CorruptIndex, WorkspaceLocked
from continual_dml.records import Generation
from storage import durable
from storage.artefacts import PublishedArtefacts
from storage.catalog import history, portable, queries, schema
from storage.catalog.address import sqlite_path
from storage.catalog.engine import Database, revision_of
from storage.catalog.sqlite_files import connect_reading
from storage.catalog.tables import Ancestor, Base, GenerationRow, Head, Item, Refusal, Run, Tag
from storage.catalog.version import REVISION
from storage.catalogue_files import disagreement, key_of, parse
from storage.manifest import catalogue_name, read_unlisted_manifest
from storage.verified_files import sha256_of
from storage.workspace import Workspace, numbered
from storage.writer_lock import WriterLock

OLD = "older than the generations"
_Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Choices:
    """What users decided, and no generation knows: which one is live, and names of some."""

    live: int | None = None
    tags: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Found:
    """Rows of all generations that were read, by table and key; ``on_disk``: those that were."""

    on_disk: set[int] = field(default_factory=set)
    tables: dict[str, dict[tuple[Any, ...], _Values]] = field(
        default_factory=lambda: {name: {} for name in Base.metadata.tables}
    )

    def add(self, table: str, values: _Values) -> None:
        """Take a row in; of an item that was deleted in one generation and not in another, the fuller one."""
        key = key_of(table, values)
        known = self.tables[table].get(key)
        if known is None or (table == Item.__tablename__ and not known["content_hash"]):
            self.tables[table][key] = values

    def merge(self, other: _Found) -> None:
        """Take all rows of ``other`` in."""
        self.on_disk |= other.on_disk
        for table, rows in other.tables.items():
            for values in rows.values():
                self.add(table, values)

    def parents(self) -> dict[int, int | None]:
        """Parent of every generation."""
        rows = self.tables[GenerationRow.__tablename__].values()
        return {row["generation_id"]: row["parent_id"] for row in rows}

    def newest(self) -> int | None:
        """The newest generation on disk but those that their quality gate refused."""
        refused = {row["generation_id"] for row in self.tables[Refusal.__tablename__].values()}
        return max(self.on_disk - refused, default=None)


def what_is_wrong(workspace: Workspace) -> str | None:
    """Say why the catalogue has to be built again, None where it need not or where nothing can be said.

    Raises:
        CatalogError: a server cannot be reached.
    """
    directories = numbered(workspace.generations_dir)
    path = sqlite_path(workspace.database_url)
    if path is not None:
        if not path.exists():
            return "missing"
        if _is_damaged(path):
            return "damaged"
    if not directories:
        return None
    with (
        closing(Database(workspace.database_url, read_only=True)) as database,
        database.transaction() as connection,
    ):
        known = queries.newest_run(connection)
        if int(directories[-1].name) > known:
            return OLD if known else "empty"
        if revision_of(connection) != REVISION:
            return None
        published = queries.generations(connection)
        wrong = any(_contradicts(workspace, connection, generation) for generation in published)
        return "wrong" if wrong else None


def rebuild_catalogue(workspace: Workspace) -> Generation | None:
    """Put a catalogue in the place of one that :func:`what_is_wrong` complains about.

    Tags, and which generation is live, are taken from the former one where it can still tell, else there are
    no tags. Where it cannot tell, or was older, the newest generation on disk is live, but none that its
    quality gate refused. A former SQLite file stays beside the new one.

    Returns:
        The live generation; None where there is none.

    Raises:
        WorkspaceLocked: another writer is at work, or was a moment ago.
        CatalogError: no generation on disk can tell; or the database refuses.
    """
    with WriterLock(workspace.lock_file):
        reason = what_is_wrong(workspace)
        if reason is None:
            raise WorkspaceLocked(f"another cdml has written to {workspace.root}: run the command again")
        found = _read(workspace)
        path = sqlite_path(workspace.database_url)
        if path is None:
            with closing(Database(workspace.database_url, read_only=False)) as database, database.writer():
                return _fill(database, found, _Choices())
        beside = path.with_name(f"{path.name}.rebuilt")
        for leftover in _with_logs(beside):
            durable.remove_file(leftover)
        choices = _former_choices(workspace)
        if reason == OLD:
            choices = replace(choices, live=None)
        with closing(Database(f"sqlite:///{beside}", read_only=False)) as database:
            live = _fill(database, found, choices)
            database.empty_log()  # closing would do so as well, and not say where it cannot
        _set_aside(path)
        durable.rename(beside, path)
        durable.fsync_directory(path.parent)
        return live


def _read(workspace: Workspace) -> _Found:
    found = _Found()
    reasons = []
    directories = numbered(workspace.generations_dir)
    for directory in directories:
        try:
            found.merge(_rows_of(directory))
        except (CdmlError, OSError) as error:  # noqa: PERF203 - one for each generation, not for each row
            reasons.append(str(error))
    if directories and not found.tables[Run.__tablename__]:
        raise CatalogError(
            f"the catalogue of {workspace.root} cannot be built again ({reasons[0]}): restore a backup"
        )
    return found


def _rows_of(directory: Path) -> _Found:
    """Return what one generation knows: its own rows and those of all that it descends from.

    Raises:
        CorruptIndex: its manifest or one of its rows is damaged or not there.
        FileNotFoundError: it has no manifest.
    """
    manifest, content = read_unlisted_manifest(directory)
    generation = Generation(
        manifest.generation_id, manifest.parent_id, manifest.task_id, sha256_of(content), manifest.created_at
    )
    artefacts = PublishedArtefacts(directory, generation, content)
    found = _Found(on_disk={generation.generation_id})
    found.add(GenerationRow.__tablename__, asdict(generation))
    number: int | None = generation.generation_id
    while number is not None:
        name = catalogue_name(number)
        for table, values in parse(artefacts.read_bytes(name), str(directory / name)):
            if not set(values) <= set(Base.metadata.tables[table].columns.keys()):
                raise CorruptIndex(f"{directory / name} has rows of a later schema: install a newer cdml")
            found.add(table, values)
        number = found.parents()[number]
    return found


def _fill(database: Database, found: _Found, choices: _Choices) -> Generation | None:
    schema.migrate(database)
    parents = found.parents()
    for number in parents:
        for ancestor in _lineage(number, parents):
            found.add(Ancestor.__tablename__, {"generation_id": number, "ancestor_id": ancestor})
    live = choices.live if choices.live in parents else found.newest()
    for name, number in choices.tags.items():
        if number in parents:
            found.add(Tag.__tablename__, {"name": name, "generation_id": number})
    rows: Mapping[str, list[_Values]] = {
        table: [by_key[key] for key in sorted(by_key)] for table, by_key in found.tables.items()
    }
    rows[Head.__tablename__].append({"row_id": 1, "generation_id": live})
    with database.transaction() as connection:
        if queries.newest_run(connection):
            raise CatalogError(
                f"the catalogue {database.label} is not empty and left as it is: name an empty database as "
                "database_url in cdml.toml and run this again"
            )
        portable.fill(connection, rows)
        return queries.head(connection)


def _lineage(number: int, parents: Mapping[int, int | None]) -> Iterable[int]:
    current: int | None = number
    while current is not None:
        yield current
        current = parents[current]


def _is_damaged(path: Path) -> bool:
    """Say whether SQLite finds its file broken; a file that it cannot open just now is none of that."""
    try:
        with closing(connect_reading(path)) as connection:
            first = connection.execute("PRAGMA integrity_check").fetchone()
            return bool(first != ("ok",))
    except sqlite3.OperationalError:
        return False
    except sqlite3.DatabaseError:
        return True


def _former_choices(workspace: Workspace) -> _Choices:
    try:
        with (
            closing(Database(workspace.database_url, read_only=True)) as database,
            database.transaction() as connection,
        ):
            live = queries.head(connection)
            return _Choices(None if live is None else live.generation_id, history.tags(connection))
    except CatalogError:
        return _Choices()


def _set_aside(path: Path) -> None:
    """Give what lies at ``path`` another name, so that nothing that could be in it is lost."""
    number = 1
    while path.with_name(f"{path.name}.damaged-{number}").exists():
        number += 1
    aside = path.with_name(f"{path.name}.damaged-{number}")
    for source, target in zip(_with_logs(path), _with_logs(aside), strict=True):
        if source.exists():
            durable.rename(source, target)


def _with_logs(path: Path) -> list[Path]:
    """Return an SQLite file and the files that SQLite keeps beside it."""
    return [path, *(path.with_name(f"{path.name}{ending}") for ending in ("-wal", "-shm"))]


def _contradicts(workspace: Workspace, connection: Connection, generation: Generation) -> bool:
    """Say whether a generation on disk tells other rows than the catalogue; no if it is damaged itself."""
    try:
        directory = workspace.generation_dir(generation.generation_id)
        return disagreement(connection, PublishedArtefacts.open(directory, generation)) is not None
    except (CdmlError, FileNotFoundError):
        return False
