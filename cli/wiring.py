"""The composition root: the only place where workspaces, streams and the core are put together."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from continual_dml.settings import NO_LIMIT, RefreshBudget, Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from continual_dml.ports import ImageReader, ProgressListener, Store, TrainingLog
    from continual_dml.report_pages import ReportPainter
    from continual_dml.workflows.estimate_ingest import IngestEstimate
    from continual_dml.workflows.ingest_task import IngestResult
    from continual_dml.workflows.plan_task import TaskPlan
    from storage.reader import WorkspaceReader
    from storage.store import WorkspaceStore
    from storage.workspace import Workspace

UNLOADING = 0.1
"""What ending a process takes, as a share of what loading its libraries took."""


@dataclass(frozen=True, slots=True)
class IngestRequest:
    """What ``cdml ingest-task`` was asked for: a folder, a name or None, settings, and a refresh mode.

    ``restart``: begin anew where an interrupted run could go on; ``budget``: how much may be embedded anew.
    """

    folder: Path
    name: str | None
    settings: Settings
    refresh: str
    restart: bool = False
    budget: RefreshBudget = NO_LIMIT


@dataclass(frozen=True, slots=True, eq=False)
class IngestOutcome:
    """A finished ingest: what was planned, what came of it, and how long reading the folder took."""

    plan: TaskPlan
    result: IngestResult
    read_seconds: float

    @property
    def promoted(self) -> bool:
        """Whether the new generation is live: its quality gate may have refused it."""
        return bool(self.result.report["gate"]["passed"])


def open_workspace(folder: Path) -> Workspace:
    """Open an existing workspace; raises as ``Workspace.open``."""
    from storage.workspace import Workspace

    return Workspace.open(folder)


def create_workspace(
    folder: Path,
    settings: Settings,
    database_url: str | None,
    weights: str | None,
    of_further: Sequence[str | None] = (),
    keep_generations: int = 1,
    index: str = "flat",
) -> Workspace:
    """Make a workspace, once its networks could be built from their weights.

    Args:
        folder: where the workspace will be.
        settings: of the workspace.
        database_url: of the catalogue, or None for SQLite.
        weights: ``none``, ``imagenet`` (may download), a file, or None for ImageNet from the cache folder.
        of_further: the same for each further member of a cohort, as ``starting_weights`` takes it.
        keep_generations: how many generations stay on disk.
        index: how vectors are searched.

    Raises:
        SettingsError: a network or weights that cannot be used.
        WorkspaceError: the folder is taken.
    """
    from cli.starting_weights import starting_weights
    from storage.tensor_files import render_tensors
    from storage.workspace import Workspace

    start = starting_weights(settings.model, weights, of_further)
    content = None if start.tensors is None else render_tensors(start.tensors)
    return Workspace.create(folder, settings, database_url, content, start.note, keep_generations, index)


def image_reader(settings: Settings) -> ImageReader:
    """Return the reader of files at the size that the workspace's models are given."""
    from streams.image_reader import ThreadedImageReader

    return ThreadedImageReader(settings.model.stored_side_pixels, settings.streams)


def page_painter(settings: Settings) -> ReportPainter:
    """Return what draws the pages of reports; jinja2 is loaded where one is drawn."""
    from cli.render.report_page.painter import PagePainter

    return PagePainter(settings.streams)


def read_query_images(paths: Sequence[Path], settings: Settings) -> NDArray[np.uint8]:
    """Return the pixels (Q, S, S, 3) of images that the user named.

    Raises:
        StreamError: one of them is no usable image.
    """
    from continual_dml.errors import StreamError, UnreadableImage
    from streams.given_images import given_squares

    try:
        return given_squares(paths, settings.model.stored_side_pixels, settings.streams)
    except UnreadableImage as error:
        raise StreamError(f"{error}; nothing was searched, give readable images only") from error


@contextmanager
def reading(workspace: Workspace) -> Iterator[WorkspaceReader]:
    """Open the live generation for searches."""
    from storage.reader import WorkspaceReader

    with WorkspaceReader(workspace) as reader:
        yield reader


@contextmanager
def writing(workspace: Workspace, listener: ProgressListener) -> Iterator[Store]:
    """Be the workspace's one writer; what could not be tidied up is told, not raised."""
    from continual_dml.embedding.freed_memory import freed_memory_kept
    from storage.store import WorkspaceStore

    with freed_memory_kept(), WorkspaceStore(workspace) as store:
        tell_warnings(store, listener)
        yield store


def tell_warnings(store: WorkspaceStore, listener: ProgressListener) -> None:
    """Tell what could not be tidied up."""
    for warning in store.warnings:
        listener.note(warning)


def _plan(request: IngestRequest, workspace: Workspace, store: Store, listener: ProgressListener) -> TaskPlan:
    from continual_dml.strategies.requirements import require_trainable
    from continual_dml.workflows.plan_task import plan_task
    from streams.task_folder import load_task

    require_trainable(request.settings, first_task=not store.tasks())
    task = load_task(
        request.folder,
        name=request.name,
        side_pixels=request.settings.model.stored_side_pixels,
        settings=request.settings.streams,
        listener=listener,
        pixel_directory=workspace.root,  # a nameless file there: nothing is left, even after a crash
    )
    return plan_task(task, store, listener)


def run_ingest(
    request: IngestRequest, workspace: Workspace, listener: ProgressListener, log: TrainingLog | None = None
) -> IngestOutcome:
    """Learn a folder and publish; the writer lock is taken before anything is read."""
    with writing(workspace, listener) as store:
        begin = time.perf_counter()
        plan = _plan(request, workspace, store, listener)
        read_seconds = time.perf_counter() - begin
        from continual_dml.workflows.ingest_task import IngestContext, ingest_task

        context = IngestContext(
            store,
            image_reader(request.settings),
            request.settings,
            request.refresh,
            workspace.initial_weights(),
            listener,
            request.restart,
            request.budget,
            page_painter(request.settings),
            log,
            workspace.root,
        )
        return IngestOutcome(plan, ingest_task(plan, context), read_seconds)


def run_dry(
    request: IngestRequest, workspace: Workspace, listener: ProgressListener
) -> tuple[TaskPlan, IngestEstimate]:
    """Plan a folder and estimate the ingest; nothing is learned or published."""
    from cli.file_speeds import disk_speed, reading_speed
    from continual_dml.process_memory import forget_peak_memory

    forget_peak_memory()  # of what a long-lived program did before
    begin = time.perf_counter()
    with writing(workspace, listener) as store:
        opened = time.perf_counter()
        plan = _plan(request, workspace, store, listener)
        read = time.perf_counter()
        import continual_dml.workflows.ingest_task  # noqa: F401 - as the ingest does: most of its start
        from continual_dml.workflows.estimate_ingest import Surroundings, estimate_ingest

        loading = opened - begin + time.perf_counter() - read
        replaces = workspace.keep_generations == 1
        paths = [record.path for record in plan.task.records]
        again = reading_speed(paths, image_reader(request.settings))
        start = loading * (1 + UNLOADING)
        around = Surroundings(start, read - opened, again, *disk_speed(workspace.root), replaces)
        return plan, estimate_ingest(
            plan, request.settings, request.refresh, store, around, listener, request.budget
        )
