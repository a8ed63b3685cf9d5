"""The workspace as a search sees it: one generation, read-only, while a writer may be at work."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack, closing
from types import TracebackType
from typing import final

from sqlalchemy import Connection

from continual_dml.errors import CatalogError, CorruptIndex, WorkspaceError
from continual_dml.records import CatalogItem, Generation, Role, TaskSummary
from storage import leases
from storage.artefacts import PublishedArtefacts
from storage.catalog import queries, schema
from storage.catalog.engine import Database
from storage.filters import Filter
from storage.filters.conditions import condition
from storage.index.stored import StoredIndex
from storage.verified_files import ADVICE
from storage.workspace import Workspace

_ATTEMPTS = 10


@final
class WorkspaceReader:
    """Context manager over the generation that is live on entry, or a named one; all answers come from it.

    A lease keeps its rows and its files are held open, so that all of it stays readable when a writer
    publishes the next generation and collects this one.

    Args:
        workspace: an existing workspace.
        wanted: number or tag of a generation whose files are kept; None for the live one.

    Raises:
        CatalogError: on entry, where nothing is ingested yet, the files are not kept, or the catalogue cannot
            answer.
        UnknownChoice: on entry, where there is no such generation or tag.
        CorruptIndex: on entry, where the generation is damaged.
    """

    def __init__(self, workspace: Workspace, wanted: str | None = None) -> None:
        self.workspace = workspace
        self._wanted = wanted
        self._resources = ExitStack()
        self._opened: tuple[Database, PublishedArtefacts] | None = None

    def __enter__(self) -> WorkspaceReader:
        with ExitStack() as resources:
            database = resources.enter_context(closing(Database(self.workspace.database_url, read_only=True)))
            schema.check_schema(database)
            artefacts = self._open_live(database, resources)
            self._opened = database, artefacts
            self._resources = resources.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened = None
        self._resources.close()

    @property
    def generation(self) -> Generation:
        """The generation that answers."""
        return self.artefacts.generation

    @property
    def artefacts(self) -> PublishedArtefacts:
        """Its verified files."""
        return self._open()[1]

    def index(self) -> StoredIndex:
        """Return its search index.

        Raises:
            CorruptIndex: the file is damaged.
        """
        return self.artefacts.open_index()

    def items(self, item_ids: Sequence[int]) -> dict[int, CatalogItem]:
        """Visible items by id."""
        with self._open()[0].transaction() as connection:
            return queries.items(connection, self.generation.generation_id, item_ids)

    def matching_ids(self, chosen: Filter) -> list[int]:
        """Ids of the gallery items that a filter is true of, ascending."""
        with self._open()[0].transaction() as connection:
            return queries.gallery_ids_where(connection, self.generation.generation_id, condition(chosen))

    def items_where(self, chosen: Filter) -> list[CatalogItem]:
        """Return the visible items, queries too, that a filter is true of, by id."""
        with self._open()[0].transaction() as connection:
            return queries.items_where(connection, self.generation.generation_id, condition(chosen))

    def items_page(
        self,
        after: int,
        limit: int,
        *,
        task_id: int | None = None,
        category_id: int | None = None,
        role: Role | None = None,
    ) -> list[CatalogItem]:
        """First ``limit`` visible items above id ``after``, by id, of a task, category and role."""
        with self._open()[0].transaction() as connection:
            return queries.items_page(
                connection,
                self.generation.generation_id,
                after,
                limit,
                task_id=task_id,
                category_id=category_id,
                role=role,
            )

    def category_counts(self, task_id: int | None = None) -> list[tuple[int, str, int, int]]:
        """Id, name, gallery images and queries of the categories of a task, or of all, by name."""
        with self._open()[0].transaction() as connection:
            return queries.category_counts(connection, self.generation.generation_id, task_id)

    def category_ids(self) -> dict[str, int]:
        """All categories that the generation knows, name to id."""
        with self._open()[0].transaction() as connection:
            return queries.category_ids(connection, self.generation.generation_id)

    def tasks(self) -> list[TaskSummary]:
        """The tasks that the generation has learned, oldest first."""
        with self._open()[0].transaction() as connection:
            return queries.tasks(connection, self.generation.generation_id)

    def additions(self) -> list[TaskSummary]:
        """What was added to it without learning, oldest first."""
        with self._open()[0].transaction() as connection:
            return queries.additions(connection, self.generation.generation_id)

    def _open(self) -> tuple[Database, PublishedArtefacts]:
        if self._opened is None:
            raise WorkspaceError(
                f"the reader of {self.workspace.root} is closed: open it with a `with` statement"
            )
        return self._opened

    def _chosen(self, connection: Connection) -> Generation | None:
        if self._wanted is None:
            return queries.head(connection)
        return queries.named_generation(connection, self._wanted)

    def _open_live(self, database: Database, resources: ExitStack) -> PublishedArtefacts:
        """Lease and open the generation; where a writer removed the live one meanwhile, the newer one."""
        seen = None
        for _ in range(_ATTEMPTS):
            with database.transaction() as connection:
                live = self._chosen(connection)
            if live is None:
                raise CatalogError(f"{self.workspace.root} holds no task yet: run `cdml ingest-task FOLDER`")
            directory = self.workspace.generation_dir(live.generation_id)
            if self._wanted is not None and not directory.is_dir():
                raise CatalogError(
                    f"the files of generation {live.generation_id} are not kept any more: "
                    "see `cdml generations`"
                )
            if live == seen:
                raise CorruptIndex(f"{directory} is missing or not whole: {ADVICE}")
            with ExitStack() as held:
                lease = leases.take(self.workspace.lease(live.generation_id))
                if lease is not None:
                    held.callback(os.close, lease)
                with database.transaction() as connection:
                    if queries.generation(connection, live.generation_id) != live:
                        continue
                seen = live
                try:
                    artefacts = PublishedArtefacts.open(directory, live, database)
                    artefacts.pin()
                except FileNotFoundError:
                    continue
                resources.enter_context(held.pop_all())
                resources.enter_context(closing(artefacts))
                return artefacts
        raise CatalogError(f"{self.workspace.root} changes faster than it can be read: run the command again")
