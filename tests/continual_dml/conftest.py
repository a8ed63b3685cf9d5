"""Tiny real task folders and workspaces for the use cases."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from continual_dml.ports import SilentListener
from continual_dml.settings import ModelSettings, Settings, TrainingSettings
from continual_dml.workflows.add_items import AddResult, add_items
from continual_dml.workflows.ingest_task import IngestContext, IngestResult, ingest_task
from continual_dml.workflows.plan_task import plan_addition, plan_task
from storage.store import WorkspaceStore
from storage.workspace import Workspace
from streams.additions import load_addition
from streams.image_reader import ThreadedImageReader
from streams.task_folder import load_task

SETTINGS = Settings(
    model=ModelSettings(backbone="conv4", pretrained=False, embedding_dim=8, image_side_pixels=16),
    training=TrainingSettings(
        steps=4, batch_categories=4, images_per_category=3, flip=False, device="cpu", precision="fp32"
    ),
)
PICTURES_PER_CATEGORY = 10


def draw_category(folder: Path, number: int, pictures: int = PICTURES_PER_CATEGORY) -> None:
    """Save pictures of one category: a bar of its own colour and place, with noise."""
    random = np.random.default_rng(number)
    folder.mkdir(parents=True)
    for picture in range(pictures):
        pixels = random.integers(0, 60, size=(20, 20, 3)).astype(np.uint8)
        place = 2 + 3 * (number % 5)
        pixels[place : place + 3, :, number % 3] = 200
        pixels[:, place : place + 2, (number // 5) % 3] += 80
        Image.fromarray(pixels).save(folder / f"{picture}.png")


@pytest.fixture
def task_folder(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that draws a task of ``categories`` numbered from ``first``."""

    def draw(first: int, categories: int = 4, pictures: int = PICTURES_PER_CATEGORY) -> Path:
        folder = tmp_path / f"task-from-{first}"
        for number in range(first, first + categories):
            draw_category(folder / f"category-{number}", number, pictures)
        return folder

    return draw


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "workspace", SETTINGS)


@pytest.fixture
def ingest(workspace: Workspace) -> Callable[..., IngestResult]:
    """Return a function that ingests a folder for real: files, training, SQLite, FAISS."""

    def run(
        folder: Path, refresh: str = "auto", into: Workspace | None = None, **training: object
    ) -> IngestResult:
        target = into or workspace
        settings = replace(target.settings, training=replace(target.settings.training, **training))
        side = settings.model.stored_side_pixels
        with WorkspaceStore(target) as store:
            task = load_task(
                folder, name=None, side_pixels=side, settings=settings.streams, listener=SilentListener()
            )
            reader = ThreadedImageReader(side, settings.streams)
            context = IngestContext(store, reader, settings, refresh, None, SilentListener())
            return ingest_task(plan_task(task, store), context)

    return run


@pytest.fixture
def add(workspace: Workspace) -> Callable[..., AddResult]:
    """Return a function that adds folders, or images of a category, for real."""

    def run(*paths: Path, category: str | None = None, into: Workspace | None = None) -> AddResult:
        target = into or workspace
        settings, quiet = target.settings, SilentListener()
        side = settings.model.stored_side_pixels
        with WorkspaceStore(target) as store:
            task = load_addition(
                paths,
                category=category,
                name=None,
                side_pixels=side,
                settings=settings.streams,
                listener=quiet,
            )
            return add_items(plan_addition(task, store), store, settings, quiet)

    return run
