"""A task that cannot be learned, or is interrupted, publishes nothing and stands in nobody's way."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from continual_dml.errors import GalleryError, NotFiniteLoss, SettingsError, WorkspaceError
from continual_dml.records import Generation
from continual_dml.strategies.learner import Learner
from continual_dml.workflows.ingest_task import IngestResult
from storage import durable
from storage.reader import WorkspaceReader
from storage.workspace import Workspace

Draw = Callable[..., Path]
Ingest = Callable[..., IngestResult]


def live(workspace: Workspace) -> Generation:
    with WorkspaceReader(workspace) as reader:
        return reader.generation


def test_reembed_with_an_image_missing_publishes_nothing(
    task_folder: Draw, ingest: Ingest, workspace: Workspace
) -> None:
    first = task_folder(0)
    before = ingest(first).generation
    shutil.rmtree(first / "category-1")
    with pytest.raises(GalleryError, match=r"images of earlier tasks are missing .*--refresh auto"):
        ingest(task_folder(4), refresh="reembed")
    assert live(workspace) == before


def test_a_diverging_task_publishes_nothing_and_the_next_one_works(
    task_folder: Draw, ingest: Ingest, workspace: Workspace
) -> None:
    before = ingest(task_folder(0)).generation
    second = task_folder(4)
    with pytest.raises(NotFiniteLoss):
        ingest(second, learning_rate=1e8, head_learning_rate=1e8, steps=40, method="finetune")
    assert live(workspace) == before
    assert [path.name for path in (workspace.root / "gen").iterdir()] == ["00000001"]
    assert ingest(second).generation.parent_id == before.generation_id


def test_what_went_wrong_is_told_even_if_cleaning_up_goes_wrong_too(
    task_folder: Draw, ingest: Ingest, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(task_folder(0))
    second = task_folder(4)

    def fail(self: Learner, *_: object, **__: object) -> None:
        raise SettingsError("the first error")

    def refuse(path: Path) -> None:
        raise WorkspaceError(f"cannot remove {path}")

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "learn", fail)
        patch.setattr(durable, "remove_tree", refuse)
        with pytest.raises(SettingsError, match="the first error"):
            ingest(second)
    assert [path.name for path in workspace.generations_dir.iterdir() if path.name.startswith(".")]
    ingest(second)
    assert [path.name for path in workspace.generations_dir.iterdir()] == ["00000003"]


def test_an_interrupt_publishes_nothing(
    task_folder: Draw, ingest: Ingest, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ingest(task_folder(0)).generation

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("continual_dml.strategies.learner.train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ingest(task_folder(4))
    assert live(workspace) == before
    assert [path.name for path in (workspace.root / "gen").iterdir()] == ["00000001"]
