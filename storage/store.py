"""The workspace as its one writer sees it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from types import TracebackType
from typing import Any, TypeVar, cast, final

import numpy as np
from sqlalchemy import Connection

from continual_dml.errors import (
    SettingsError,
    UnknownChoice,
    WorkspaceError,
)
from continual_dml.records import CatalogItem, GalleryLabels, Generation, TaskSummary
from storage import embedded_shards, going_live
from storage.artefacts import PublishedArtefacts
from storage.catalog import history, publish, queries, schema
from storage.catalog.engine import Database
from storage.checkpoint import WorkspaceCheckpoint, discard
from storage.draft import PublishingDraft
from storage.embedded_shards import WorkspaceShards
from storage.failpoints import reach
from storage.index_kinds import require_usable
from storage.recovery import collect, recover, refuse_lost_catalogue
from storage.workspace import Workspace
from storage.writer_lock import WriterLock

_Answer = TypeVar("_Answer")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@final
class WorkspaceStore:
    """Implements ``continual_dml.ports.Store``; a context manager that holds the writer lock.

    Args:
        workspace: an existing workspace.
        kept_generations: how many generations of the live lineage stay on disk, the live one included; None
            takes what ``cdml.toml`` says, which is one unless the user wants more: cdml keeps no old models.

    Attributes:
        warnings: what could not be cleaned up, one line each.

    Raises:
        SettingsError: ``kept_generations`` is below 1.
        WorkspaceLocked: on entry, where another writer is at work.
        SchemaTooNew: on entry, where a newer cdml wrote the catalogue.
    """

    def __init__(self, workspace: Workspace, kept_generations: int | None = None) -> None:
        keep = workspace.keep_generations if kept_generations is None else kept_generations
        if keep < 1:
            raise SettingsError(f"kept generations is {keep}; it must be 1 or more")
        self.workspace = workspace
        self.warnings: list[str] = []
        self._kept_generations = keep
        self._resources = ExitStack()
        self._database: Database | None = None
        self._draft: PublishingDraft | None = None
        self._known: dict[str, tuple[int, Any]] = {}

    def __enter__(self) -> WorkspaceStore:
        with ExitStack() as resources:
            resources.enter_context(WriterLock(self.workspace.lock_file))
            database = resources.enter_context(
                closing(Database(self.workspace.database_url, read_only=False))
            )
            resources.enter_context(database.writer())
            refuse_lost_catalogue(self.workspace, database)
            schema.migrate(database)
            self.warnings += recover(self.workspace, database, self._kept_generations)
            self._database = database
            self._resources = resources.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database = None
        self._resources.close()

    def head(self) -> Generation | None:
        """The live generation, or None before the first task."""
        with self._open_database().transaction() as connection:
            return queries.head(connection)

    def open_generation(self, generation: Generation) -> PublishedArtefacts:
        """Open a published generation's files.

        Raises:
            CorruptIndex: they are missing or differ from what was published.
        """
        return going_live.open_generation(self.workspace, self._open_database(), generation)

    def category_ids(self) -> dict[str, int]:
        """All visible categories, name to id."""
        return self._look(queries.category_ids, {})

    def find_by_hash(self, hashes: Sequence[str]) -> dict[str, CatalogItem]:
        """Visible items whose content is one of ``hashes``, by hash."""
        return self._look(lambda connection, live: queries.items_by_hash(connection, live, hashes), {})

    def items(self, item_ids: Sequence[int]) -> dict[int, CatalogItem]:
        """Visible items by id."""
        return self._look(lambda connection, live: queries.items(connection, live, item_ids), {})

    def tags_seeing(self, item_ids: Sequence[int]) -> list[str]:
        """Names of tagged generations that see one of ``item_ids``, and so keep it."""
        with self._open_database().transaction() as connection:
            return [
                name
                for name, number in history.tags(connection).items()
                if queries.items(connection, number, item_ids)
            ]

    def held(self, item_ids: Sequence[int]) -> list[int]:
        """Those of ``item_ids`` that an earlier generation still holds, though they may be deleted."""
        with self._open_database().transaction() as connection:
            return history.held(connection, item_ids)

    def query_items(self, per_task: int | None = None) -> list[CatalogItem]:
        """Visible query items, ordered by id: at most ``per_task`` of each task, always the same ones."""
        return self._look(lambda connection, live: queries.query_items(connection, live, per_task), [])

    def gallery_labels(self) -> GalleryLabels:
        """Category and task of every visible gallery item."""
        return self._labels_of(self._live_number())

    def query_copy_path(self, content_hash: str) -> str:
        """Where the workspace's copy of a query image lies."""
        return str(self.workspace.query_copy(content_hash))

    def tasks(self) -> list[TaskSummary]:
        """The tasks that the live generation's lineage has learned, oldest first."""
        return list(self._once("tasks", self._live_number(), queries.tasks))

    def additions(self) -> list[TaskSummary]:
        """What was added to it without learning, oldest first."""
        return list(self._once("additions", self._live_number(), queries.additions))

    def begin(self, task_name: str) -> PublishingDraft:
        """Start the next generation under the writer lock.

        Raises:
            CatalogError: the catalogue refuses.
            SettingsError: the kind of index that the next generation is to have cannot be built.
            WorkspaceError: the disk refuses, or the draft before is neither published nor abandoned.
        """
        database = self._open_database()
        if self._draft is not None and self._draft.is_open:
            raise WorkspaceError(
                f"generation {self._draft.generation_id} of {self.workspace.root} is still being built: "
                "publish or abandon it first"
            )
        require_usable(self.workspace.index_kind, database)
        reservation = publish.reserve(database, task_name)
        reach("reserved")
        self._draft = PublishingDraft(
            self.workspace, database, reservation, lambda base: self._labels_of(base).ids, self._tidy
        )
        return self._draft

    def rollback(self, generation_id: int) -> Generation:
        """Make an earlier (or an undone) generation the live one again, once its files have proved whole.

        Generations that were published after it stay on disk until the next one is published, so that this
        can be undone.

        Raises:
            UnknownChoice: no such generation was published, or its rows are forgotten.
            CatalogError: nothing is live yet, its files are not kept any more, or its quality gate refused it
                and nobody has promoted it.
            GalleryError: its files are damaged; the live generation stays.
        """
        return self._make_live(going_live.to_go_back_to(self.workspace, self._open_database(), generation_id))

    def promote(self, generation_id: int | None = None) -> Generation:
        """Make a generation live that its quality gate refused, once its files have proved whole.

        Args:
            generation_id: which; None takes the newest that waits.

        Raises:
            UnknownChoice: no such generation was published, or its rows are forgotten.
            CatalogError: it was not refused, its files are not kept any more, or none waits.
            GalleryError: its files are damaged; the live generation stays.
        """
        return self._make_live(going_live.to_promote(self.workspace, self._open_database(), generation_id))

    def refusals(self) -> dict[int, str]:
        """The generations that their quality gate refused, and why; some may be live since."""
        with self._open_database().transaction() as connection:
            return queries.refusals(connection)

    def tag(self, name: str, generation_id: int) -> None:
        """Give a generation a name, which keeps its files; a name that another has moves over.

        Raises:
            SettingsError: no name that a tag can have.
            UnknownChoice: no such generation was published.
            CatalogError: its files are not kept any more.
        """
        if not _TAG.fullmatch(name) or name.isdigit():
            raise SettingsError(
                f"'{name}' cannot be a tag: use letters, digits, '.', '_' and '-', 64 at most, "
                "and not digits alone"
            )
        database = self._open_database()
        with database.transaction() as connection:
            target = queries.generation(connection, generation_id)
        if target is not None:
            going_live.open_kept(self.workspace, database, target)
        history.set_tag(database, name, generation_id)

    def untag(self, name: str) -> None:
        """Take a name away; the generation stays until the next collection.

        Raises:
            UnknownChoice: there is no such tag.
        """
        history.delete_tag(self._open_database(), name)

    def resolve(self, name: str) -> int:
        """Return the number of a generation given by its number or by a tag.

        Raises:
            UnknownChoice: neither.
        """
        if name.isdigit():
            return int(name)
        with self._open_database().transaction() as connection:
            tags = history.tags(connection)
            if name not in tags:
                raise UnknownChoice("tag", name, tags)
        return tags[name]

    def checkpoints(self, key: str) -> WorkspaceCheckpoint:
        """Where the training run that ``key`` stands for is kept; no longer than to the next publication."""
        return WorkspaceCheckpoint(self.workspace.checkpoint_file, key)

    def shards(self, key: str) -> WorkspaceShards:
        """Where what that run embeds is kept; no longer than to the next publication."""
        live = self.head()
        return WorkspaceShards(self.workspace.shards_dir, live.generation_id if live else 0, key)

    def _live_number(self) -> int:
        live = self.head()
        return live.generation_id if live else 0

    def _labels_of(self, generation_id: int) -> GalleryLabels:
        def read(connection: Connection, number: int) -> GalleryLabels:
            rows = queries.gallery_labels(connection, number)
            return GalleryLabels(*np.array(rows, dtype=np.int64).reshape(-1, 3).T.copy())

        return self._once("labels", generation_id, read)

    def _once(self, what: str, generation_id: int, read: Callable[[Connection, int], _Answer]) -> _Answer:
        """Return what ``read`` finds in a generation's catalogue, asked once: it never changes."""
        number, known = self._known.get(what, (None, None))
        if number != generation_id:
            with self._open_database().transaction() as connection:
                known = read(connection, generation_id)
            self._known[what] = generation_id, known
        return cast(_Answer, known)

    def _make_live(self, target: Generation) -> Generation:
        if going_live.make_live(self.workspace, self._open_database(), target):
            self._collect()
        return target

    def _tidy(self) -> None:
        """Remove what the publication of a generation makes useless; never fails."""
        try:
            discard(self.workspace.checkpoint_file)
            embedded_shards.discard(self.workspace.shards_dir)
        except WorkspaceError as error:
            self.warnings.append(str(error))
        self._collect()

    def _collect(self) -> None:
        self.warnings += collect(self.workspace, self._open_database(), self._kept_generations)

    def _open_database(self) -> Database:
        if self._database is None:
            raise WorkspaceError(
                f"the store of {self.workspace.root} is closed: open it with a `with` statement"
            )
        return self._database

    def _look(self, read: Callable[[Connection, int], _Answer], empty: _Answer) -> _Answer:
        with self._open_database().transaction() as connection:
            live = queries.head(connection)
            return empty if live is None else read(connection, live.generation_id)
