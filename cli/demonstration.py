"""The demo: five alphabets learned one after another, through the same code as ``cdml ingest-task``."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cli.render.progress import progress_listener
from cli.searching import run_search
from cli.wiring import IngestRequest, create_workspace, run_ingest
from continual_dml.errors import WorkspaceError
from continual_dml.records import Role
from continual_dml.settings import Settings

if TYPE_CHECKING:
    from cli.searching import Answer
    from cli.shell import Shell
    from cli.wiring import IngestOutcome
    from continual_dml.ports import ProgressListener
    from storage.workspace import Workspace

MARK = ".cdml-demo"
TASKS, WORKSPACE, SHEET, LOCK = "tasks", "workspace", "contact-sheet.png", "LOCK"


@dataclass(frozen=True, slots=True)
class DemoSize:
    """How large the demo is: tasks by name, and what each is made of."""

    tasks: tuple[str, ...] = ("latin", "greek", "cyrillic", "arrows", "operators")
    categories: int = 15
    samples_per_category: int = 30
    picture_side_pixels: int = 48
    image_side_pixels: int = 32
    steps: int = 150
    learning_rate: float = 3e-3
    neighbours: int = 8


@dataclass(frozen=True, slots=True, eq=False)
class DemoResult:
    """What the demo leaves: folder and workspace, the last ingest, example searches with their categories."""

    directory: Path
    workspace: Workspace
    last: IngestOutcome
    answer: Answer
    categories: tuple[str, ...]
    seconds: float

    @property
    def sheet(self) -> Path:
        """The contact sheet."""
        return self.directory / SHEET


def make_demo(shell: Shell, directory: Path, size: DemoSize) -> DemoResult:
    """Render, learn, search and draw; ``shell.published`` follows the generations.

    Raises:
        WorkspaceError: the directory is not an earlier demo's, or another demo is at work there.
    """
    begin = time.perf_counter()
    with _claimed(directory), progress_listener(shell) as listener:
        _render(directory, size, listener)
        workspace = create_workspace(directory / WORKSPACE, demo_settings(size), None, "none")
        outcomes = []
        for name in size.tasks:
            folder = directory / TASKS / name
            outcome = run_ingest(IngestRequest(folder, None, workspace.settings, "auto"), workspace, listener)
            shell.published = outcome.result.generation.generation_id
            outcomes.append(outcome)
        answer, categories = _ask(workspace, outcomes, size)
        from cli.render.contact_sheet import write_contact_sheet

        write_contact_sheet(directory / SHEET, answer, categories, workspace.settings.streams)
    seconds = time.perf_counter() - begin
    return DemoResult(directory, workspace, outcomes[-1], answer, categories, seconds)


def draw_tasks(shell: Shell, directory: Path, size: DemoSize) -> list[Path]:
    """Render the task folders and no more; they are returned.

    Raises:
        WorkspaceError: the directory is not an earlier demo's, or another demo is at work there.
    """
    with _claimed(directory), progress_listener(shell) as listener:
        _render(directory, size, listener)
    return [directory / TASKS / name for name in size.tasks]


def demo_settings(size: DemoSize) -> Settings:
    """Return the settings of the demo's workspace; mirrored characters are other characters: no flip."""
    settings = Settings()
    model = replace(
        settings.model, backbone="conv4", pretrained=False, image_side_pixels=size.image_side_pixels
    )
    training = replace(settings.training, flip=False, steps=size.steps, learning_rate=size.learning_rate)
    return replace(settings, model=model, training=training)


@contextmanager
def _claimed(directory: Path) -> Iterator[None]:
    """Hold the demo's folder, empty of an earlier demo; nobody else's files are ever removed."""
    from storage.writer_lock import WriterLock

    if directory.exists() and not directory.is_dir():
        raise WorkspaceError(f"{directory} is a file: choose another folder with --directory")
    if directory.is_dir() and any(directory.iterdir()) and not (directory / MARK).is_file():
        raise WorkspaceError(f"{directory} holds other files: choose another folder with --directory")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        mark = json.dumps({"made_by": "cdml demo", "replaced_by_the_next": [TASKS, WORKSPACE, SHEET]})
        (directory / MARK).write_text(mark + "\n", encoding="utf-8")
    except OSError as error:
        raise WorkspaceError(
            f"cannot write to {directory}: {error.strerror or error}; choose another folder with --directory"
        ) from error
    with WriterLock(directory / LOCK):
        _remove_earlier(directory)
        yield


def _remove_earlier(directory: Path) -> None:
    from storage.writer_lock import WriterLock

    if (directory / WORKSPACE / LOCK).exists():
        with WriterLock(directory / WORKSPACE / LOCK):  # never under the hands of an ingest
            shutil.rmtree(directory / WORKSPACE)
    for name in (TASKS, WORKSPACE):
        if (directory / name).is_dir():
            shutil.rmtree(directory / name)
    (directory / SHEET).unlink(missing_ok=True)


def _render(directory: Path, size: DemoSize, listener: ProgressListener) -> None:
    from streams.glyphs import render_task

    listener.start("rendering characters", len(size.tasks))
    for name in size.tasks:
        folder = directory / TASKS / name
        render_task(
            name, folder, size.categories, size.samples_per_category, size.picture_side_pixels, seed=0
        )
        listener.advance()


def _ask(
    workspace: Workspace, outcomes: list[IngestOutcome], size: DemoSize
) -> tuple[Answer, tuple[str, ...]]:
    """Search with one held-out image of each task, the middle one of its list."""
    asked = []
    for outcome in outcomes:
        held_out = [record for record in outcome.plan.task.records if record.role is Role.QUERY]
        asked.append(held_out[len(held_out) // 2])
    paths = [Path(record.path) for record in asked]
    answer = run_search(workspace, paths, size.neighbours, "auto", judged=False)
    return answer, tuple(record.category for record in asked)
