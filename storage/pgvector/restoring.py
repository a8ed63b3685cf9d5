"""Vectors of a backup, which has them in files alone: into tables again, or into an index of another kind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sqlalchemy import Connection

from continual_dml.errors import CorruptIndex
from continual_dml.ports import ProgressListener
from continual_dml.workflows.gallery_files import published_parts
from continual_dml.workflows.rebuild_index import rebuild_index
from storage.artefacts import PublishedArtefacts
from storage.catalog import queries
from storage.catalog.address import is_postgresql
from storage.catalog.engine import Database
from storage.catalog.postgres import is_server
from storage.pgvector import tables
from storage.pgvector.index import FILE_NAME, TableEntry
from storage.store import WorkspaceStore
from storage.workspace import Workspace
from storage.workspace_file import INDEX_KINDS, PGVECTOR, WorkspaceFile


def with_possible_index(content: WorkspaceFile) -> WorkspaceFile:
    """Return the settings with the default kind of index in the place of one that needs PostgreSQL.

    The same where the catalogue is to lie in PostgreSQL.
    """
    if content.storage.index != PGVECTOR or is_postgresql(content.database_url):
        return content
    return replace(content, storage=replace(content.storage, index=INDEX_KINDS[0]))


def prepare_for_tables(workspace: Workspace, database: Database) -> None:
    """Make sure that a server can hold vectors, where a generation on disk had them there.

    Raises:
        SettingsError: it cannot.
    """
    with database.transaction() as connection:
        on_server = is_server(connection)
    if on_server and any(workspace.generations_dir.glob(f"*/{FILE_NAME}")):
        tables.require_extension(database)


def fill_tables(connection: Connection, workspace: Workspace) -> None:
    """Make the tables of all generations on disk again, within the transaction that fills the catalogue.

    Does nothing in a database of another kind.

    Raises:
        CorruptIndex: the vectors in the files are not the ones that were indexed.
    """
    if not is_server(connection):
        return
    made: set[str] = set()
    for generation in queries.generations(connection):
        directory = workspace.generation_dir(generation.generation_id)
        if not directory.is_dir():
            continue
        artefacts = PublishedArtefacts.open(directory, generation)
        if artefacts.manifest.index.kind != PGVECTOR:
            continue
        entry = TableEntry.from_bytes(artefacts.read_bytes(artefacts.manifest.index.file))
        if entry.table not in made:  # a generation may have taken over the index of the one before
            _fill(connection, artefacts, entry)
            made.add(entry.table)


def build_without_tables(workspace: Workspace, listener: ProgressListener) -> None:
    """Publish the live generation anew where its index lies in a table and the catalogue is no PostgreSQL.

    Raises:
        GalleryError: a file is damaged.
    """
    with WorkspaceStore(workspace) as store:
        head = store.head()
        if head is None or store.open_generation(head).manifest.index.kind != PGVECTOR:
            return
        if workspace.index_kind == PGVECTOR:
            return
        published = rebuild_index(store)
    listener.note(
        f"the index lay in PostgreSQL: generation {published.generation_id} has the one of generation "
        f"{head.generation_id} built again as '{workspace.index_kind}'"
    )


def _fill(connection: Connection, artefacts: PublishedArtefacts, entry: TableEntry) -> None:
    parts = list(published_parts(artefacts))
    ids = np.concatenate([np.empty(0, dtype=np.int64), *(part.ids for part in parts)])
    empty = np.empty((0, entry.dimension), dtype=np.float32)
    vectors = np.concatenate([empty, *(part.vectors for part in parts)])
    if tables.create(connection, entry.table, ids, vectors, graph=entry.graph) != entry.sha256:
        raise CorruptIndex(
            f"the vectors of generation {artefacts.generation.generation_id} are not those of its index: "
            "restore another backup"
        )
