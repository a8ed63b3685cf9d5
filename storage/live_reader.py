"""The live generation for a process that stays: a newer one takes over without an answer being lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, TypeVar, final

from continual_dml.errors import CdmlError, WorkspaceError
from continual_dml.records import Generation
from storage.catalog import queries
from storage.catalog.engine import Database
from storage.index.stored import StoredIndex
from storage.reader import WorkspaceReader
from storage.self_test import run_self_test
from storage.workspace import Workspace

_Prepared = TypeVar("_Prepared")


@dataclass(frozen=True, slots=True)
class Health:
    """Which generation answers, and why a newer one does not; ``problem`` is None where none is known."""

    generation_id: int
    problem: str | None = None


@dataclass(slots=True, eq=False)
class Snapshot(Generic[_Prepared]):
    """One ``generation``, open: its catalogue and files through ``reader``, its ``index`` in memory.

    ``prepared``: what the reader's user made of it before it answered for the first time.
    """

    generation: Generation
    reader: WorkspaceReader
    index: StoredIndex
    prepared: _Prepared
    _users: int = 0
    _retired: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def enter(self) -> bool:
        """Count one more user; says False where it was closed already."""
        with self._lock:
            if self._retired and self._users == 0:
                return False
            self._users += 1
            return True

    def leave(self) -> None:
        """Count one user less; the last one of a retired snapshot closes it."""
        with self._lock:
            self._users -= 1
            last = self._retired and self._users == 0
        if last:
            self._close()

    def retire(self) -> None:
        """Close it as soon as nobody uses it."""
        with self._lock:
            last = not self._retired and self._users == 0
            self._retired = True
        if last:
            self._close()

    def _close(self) -> None:
        self.reader.__exit__(None, None, None)


def unprepared(reader: WorkspaceReader, index: StoredIndex) -> None:
    """Make nothing more of a generation than it is."""


@final
class LiveReader(Generic[_Prepared]):
    """Context manager over whatever generation is live; thread-safe.

    Args:
        workspace: with at least one task.
        prepare: is given each generation before it answers, for instance to load its model, so that nobody
            who asks has to wait for that; :func:`unprepared` where there is nothing to do.

    Raises:
        CatalogError: on entry, where nothing is ingested yet or the catalogue cannot answer.
        GalleryError: on entry, where the live generation is damaged.
    """

    def __init__(
        self, workspace: Workspace, prepare: Callable[[WorkspaceReader, StoredIndex], _Prepared]
    ) -> None:
        self.workspace = workspace
        self._prepare = prepare
        self._resources = ExitStack()
        self._opened: tuple[Database, Snapshot[_Prepared]] | None = None
        self._problem: str | None = None
        self._refreshing = threading.Lock()

    def __enter__(self) -> LiveReader[_Prepared]:
        with ExitStack() as resources:
            database = Database(self.workspace.database_url, read_only=True)
            resources.enter_context(closing(database))
            self._opened = database, self._load(database)
            self._resources = resources.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._refreshing:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened[1].retire()
        self._resources.close()

    @property
    def health(self) -> Health:
        """How it is."""
        return Health(self._current().generation.generation_id, self._problem)

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot[_Prepared]]:
        """Yield the generation that answers; it stays as it is and open for as long as the block lasts."""
        current = self._current()
        while not current.enter():  # it was replaced and closed between the two lines
            current = self._current()
        try:
            yield current
        finally:
            current.leave()

    def refresh(self) -> bool:
        """Let a newer generation answer from now on, where there is one and it proves whole.

        One that does not is told in :attr:`health`, and the one before goes on.

        Returns:
            Whether another generation answers now.
        """
        with self._refreshing:
            database, current = self._open()
            try:
                with database.transaction() as connection:
                    live = queries.head(connection)
                if live == current.generation:
                    self._problem = None
                    return False
                newer = self._load(database)
            except CdmlError as error:
                self._problem = str(error)
                return False
            except Exception as error:  # noqa: BLE001 - whatever it is, what answers now goes on answering
                self._problem = f"unexpected {type(error).__name__}: {error}"
                return False
            self._opened, self._problem = (database, newer), None
        current.retire()
        return True

    @contextmanager
    def following(self, seconds: float) -> Iterator[None]:
        """Refresh every so many seconds, in a thread, for as long as the block lasts."""
        stop = threading.Event()

        def follow() -> None:
            while not stop.wait(seconds):
                self.refresh()

        thread = threading.Thread(target=follow, name="cdml-refresh", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _load(self, database: Database) -> Snapshot[_Prepared]:
        """Open the live generation and let it prove what it had to prove before it was published."""
        with ExitStack() as resources:
            reader = resources.enter_context(WorkspaceReader(self.workspace))
            number = reader.generation.generation_id
            with database.transaction() as connection:
                gallery = queries.gallery_ids(connection, number)
                parts = queries.parts(connection, number)
            index = run_self_test(reader.artefacts, gallery, parts, None)
            snapshot = Snapshot(reader.generation, reader, index, self._prepare(reader, index))
            resources.pop_all()
        return snapshot

    def _current(self) -> Snapshot[_Prepared]:
        return self._open()[1]

    def _open(self) -> tuple[Database, Snapshot[_Prepared]]:
        if self._opened is None:
            raise WorkspaceError(
                f"the reader of {self.workspace.root} is closed: open it with a `with` statement"
            )
        return self._opened
