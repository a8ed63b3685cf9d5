"""Checks everything that a workspace keeps, without changing any of it and beside a writer at work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from continual_dml.errors import CdmlError, CorruptIndex
from continual_dml.ports import ProgressListener
from storage.artefacts import PublishedArtefacts
from storage.catalog import history, queries, schema
from storage.catalog.engine import Database
from storage.catalogue_files import disagreement
from storage.self_test import run_self_test
from storage.verified_files import open_published, read_published
from storage.workspace import Workspace


@dataclass(slots=True)
class Verification:
    """What was checked, and what was found wrong, one line each."""

    generations: int = 0
    files: int = 0
    query_copies: int = 0
    problems: list[str] = field(default_factory=list)


def verify(workspace: Workspace, *, deep: bool, listener: ProgressListener) -> Verification:
    """Check every generation on disk against its manifest and the catalogue, and every query copy.

    Each file is read and hashed; vectors, ids and counts must agree with the catalogue's rows. Nothing is
    written, and no lock is taken: a generation that a writer removes meanwhile is not missed.

    Args:
        workspace: to check.
        deep: hash the query copies and the initial weights as well, and have the database check itself.
        listener: told one unit per generation and per query copy.

    Raises:
        CatalogError: the catalogue cannot answer, so that there is nothing to check against.
    """
    found = Verification()
    with closing(Database(workspace.database_url, read_only=True)) as database:
        schema.check_schema(database)
        with database.transaction() as connection:
            required = history.required(connection)
            published = sorted(history.published(connection))
            numbers = [one for one in published if _expected(workspace, required, one)]
            hashes = sorted(queries.all_query_hashes(connection))
            if deep:
                found.problems += _database_problems(connection)
        listener.start("checking generations", len(numbers))
        for number in numbers:
            found.problems += _generation_problems(workspace, database, number, found)
            listener.advance()
    listener.start("checking query images", len(hashes))
    for content_hash in hashes:
        found.problems += _copy_problems(workspace, content_hash, deep=deep)
        found.query_copies += 1
        listener.advance()
    if deep:
        found.problems += _weights_problems(workspace)
    return found


def _expected(workspace: Workspace, required: set[int], number: int) -> bool:
    """Say whether the files of a generation should be there, or are."""
    return number in required or workspace.generation_dir(number).exists()


def _generation_problems(
    workspace: Workspace, database: Database, number: int, found: Verification
) -> Iterator[str]:
    with database.transaction() as connection:
        generation = queries.generation(connection, number)
        if generation is None:  # undone and forgotten meanwhile
            return
        gallery, parts = queries.gallery_ids(connection, number), queries.parts(connection, number)
    directory = workspace.generation_dir(number)
    try:
        artefacts = PublishedArtefacts.open(directory, generation, database)
        artefacts.pin()
    except FileNotFoundError:
        with database.transaction() as connection:
            if _expected(workspace, history.required(connection), number):
                yield f"{directory} is missing or not whole"
        return
    except CorruptIndex as error:
        yield str(error)
        return
    with closing(artefacts):
        found.generations += 1
        damaged = list(_file_problems(artefacts, found))
        yield from damaged
        if not damaged:
            try:
                run_self_test(artefacts, gallery, parts, None)
                with database.transaction() as connection:
                    difference = disagreement(connection, artefacts)
            except CdmlError as error:
                if directory.exists():  # else a writer removed it meanwhile, and with it its table of vectors
                    yield f"{directory}: {error}"
            else:
                if difference is not None and directory.exists():  # rows are forgotten after the files
                    yield difference


def _file_problems(artefacts: PublishedArtefacts, found: Verification) -> Iterator[str]:
    for name in artefacts.all_names():
        found.files += 1
        try:
            artefacts.read_bytes(name)
        except CorruptIndex as error:
            yield str(error)


def _copy_problems(workspace: Workspace, content_hash: str, *, deep: bool) -> Iterator[str]:
    path = workspace.query_copy(content_hash)
    try:
        if deep:
            read_published(path, None, content_hash)
        else:
            os.close(open_published(path))
    except FileNotFoundError:
        yield f"the query image {path} is missing"
    except CorruptIndex as error:
        yield str(error)


def _weights_problems(workspace: Workspace) -> Iterator[str]:
    try:
        workspace.initial_weights()
    except CorruptIndex as error:
        yield str(error)


def _database_problems(connection: Connection) -> Iterator[str]:
    """Yield what SQLite finds wrong with its own file; a server checks itself."""
    if connection.dialect.name != "sqlite":
        return
    for (line,) in connection.execute(text("PRAGMA integrity_check")):
        if line != "ok":
            yield f"the catalogue's file is damaged: {line}"
    for table, row, parent, _ in connection.execute(text("PRAGMA foreign_key_check")):
        yield f"row {row} of the catalogue's table {table} refers to a row of {parent} that is not there"
