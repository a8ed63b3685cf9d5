"""What an ingest would do, decided before anything is trained."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from continual_dml.errors import AlreadyIngested, EmptyTask
from continual_dml.ports import SilentListener
from continual_dml.settings import StreamSettings
from continual_dml.workflows.ingest_task import IngestResult
from continual_dml.workflows.plan_task import TaskPlan, plan_task
from storage.store import WorkspaceStore
from storage.workspace import Workspace
from streams.task_folder import load_task


@pytest.fixture
def plan(workspace: Workspace) -> Iterator[Callable[[Path], TaskPlan]]:
    def run(folder: Path) -> TaskPlan:
        with WorkspaceStore(workspace) as store:
            task = load_task(
                folder, name=None, side_pixels=18, settings=StreamSettings(), listener=SilentListener()
            )
            return plan_task(task, store)

    yield run


def test_everything_is_new_in_an_empty_workspace(
    task_folder: Callable[..., Path], plan: Callable[[Path], TaskPlan]
) -> None:
    planned = plan(task_folder(0, categories=3, pictures=10))
    assert planned.new_categories == ("category-0", "category-1", "category-2")
    assert planned.extended_categories == ()
    assert len(planned.gallery_rows) + len(planned.query_rows) == 30
    assert planned.trainable
    assert planned.quarantined == ()


def test_images_that_are_known_already_are_left_out_whatever_their_name(
    task_folder: Callable[..., Path],
    ingest: Callable[..., IngestResult],
    plan: Callable[[Path], TaskPlan],
) -> None:
    first = task_folder(0)
    ingest(first)
    later = task_folder(4)
    shutil.copy(first / "category-0" / "3.png", later / "category-4" / "renamed.png")
    (later / "category-0").mkdir()
    shutil.copy(first / "category-0" / "4.png", later / "category-0" / "4.png")
    planned = plan(later)
    reasons = {Path(file.path).name: file.reason for file in planned.quarantined}
    assert reasons["renamed.png"] == "already in the catalogue as 'category-0'"
    assert reasons["4.png"] == "already in the catalogue"
    assert planned.extended_categories == (), "nothing new came for category-0"


def test_a_folder_that_was_ingested_before_is_refused(
    task_folder: Callable[..., Path],
    ingest: Callable[..., IngestResult],
    plan: Callable[[Path], TaskPlan],
) -> None:
    folder = task_folder(0)
    ingest(folder)
    with pytest.raises(AlreadyIngested, match=r"all 40 usable images of .* nothing was changed"):
        plan(folder)


def test_the_first_task_needs_two_categories_to_compare(
    task_folder: Callable[..., Path], plan: Callable[[Path], TaskPlan]
) -> None:
    with pytest.raises(EmptyTask, match="at least two categories with two training images each, found 1"):
        plan(task_folder(0, categories=1))


def test_a_later_task_may_be_a_single_image(
    task_folder: Callable[..., Path],
    ingest: Callable[..., IngestResult],
    plan: Callable[[Path], TaskPlan],
) -> None:
    ingest(task_folder(0))
    planned = plan(task_folder(4, categories=1, pictures=1))
    assert not planned.trainable
    assert len(planned.gallery_rows) == 1
    assert len(planned.query_rows) == 0


def test_a_task_of_unusable_files_says_the_first_reason(
    tmp_path: Path, plan: Callable[[Path], TaskPlan]
) -> None:
    (tmp_path / "bad" / "category").mkdir(parents=True)
    (tmp_path / "bad" / "category" / "note.jpg").write_text("not an image")
    with pytest.raises(EmptyTask, match=r"no usable image to learn from .*note\.jpg"):
        plan(tmp_path / "bad")
