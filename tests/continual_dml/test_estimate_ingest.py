"""A dry run foretells every part of the command that follows: real networks, a real store."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from continual_dml.ports import SilentListener
from continual_dml.settings import NO_LIMIT, RefreshBudget
from continual_dml.workflows import estimate_ingest as estimating
from continual_dml.workflows.calibration import Line
from continual_dml.workflows.estimate_ingest import IngestEstimate, Surroundings, estimate_ingest
from continual_dml.workflows.expected_files import PICTURE_BYTES, PICTURES, REPORT_BYTES
from continual_dml.workflows.ingest_task import IngestResult
from continual_dml.workflows.plan_task import plan_task
from storage.store import WorkspaceStore
from storage.workspace import Workspace
from streams.task_folder import load_task
from tests.continual_dml.conftest import PICTURES_PER_CATEGORY

Draw = Callable[..., Path]
Ingest = Callable[..., IngestResult]
Foretell = Callable[..., IngestEstimate]
AROUND = Surroundings(
    start_seconds=2.0, read_seconds=1.0, image_seconds=0.01, flush_seconds=1e-3, byte_seconds=1e-9
)
OUTSIDE = {"start", "read", "publish"}
"""Parts of the command that no report can know: over before it begins, or begun when it is written."""


@pytest.fixture
def foretell(workspace: Workspace) -> Foretell:
    """Return a function that estimates the ingest of a folder into the workspace."""

    def run(
        folder: Path,
        refresh: str = "auto",
        budget: RefreshBudget = NO_LIMIT,
        around: Surroundings = AROUND,
        **training: object,
    ) -> IngestEstimate:
        settings = replace(workspace.settings, training=replace(workspace.settings.training, **training))
        quiet, side = SilentListener(), settings.model.stored_side_pixels
        with WorkspaceStore(workspace) as store:
            task = load_task(folder, name=None, side_pixels=side, settings=settings.streams, listener=quiet)
            return estimate_ingest(plan_task(task, store), settings, refresh, store, around, quiet, budget)

    return run


def tensor_bytes(workspace: Workspace, generation: int) -> int:
    return sum(file.stat().st_size for file in workspace.generation_dir(generation).glob("*.safetensors"))


def test_its_parts_are_those_that_a_report_tells(
    task_folder: Draw,
    ingest: Ingest,
    foretell: Foretell,
) -> None:
    folder = task_folder(0)

    told = foretell(folder)
    took = ingest(folder).report["seconds"]

    assert set(told.stages) - OUTSIDE == set(took) - {"total"}
    assert all(seconds >= 0 for seconds in told.stages.values())
    assert told.total_seconds == pytest.approx(sum(told.stages.values()))
    assert told.seconds == pytest.approx(told.total_seconds - 3.0)  # what starting and reading took


def test_the_bytes_of_a_first_and_of_a_second_generation_are_foretold(
    workspace: Workspace,
    task_folder: Draw,
    ingest: Ingest,
    foretell: Foretell,
) -> None:
    first, second = task_folder(0), task_folder(4)
    for number, folder in enumerate((first, second), 1):
        told = foretell(folder)
        ingest(folder)
        report = REPORT_BYTES + PICTURE_BYTES * PICTURES  # at most
        held = tensor_bytes(workspace, number)
        assert held < told.disk_bytes < 1.3 * held + report + 100_000


def test_a_second_task_costs_what_becomes_of_the_first(
    task_folder: Draw, ingest: Ingest, foretell: Foretell
) -> None:
    earlier = task_folder(0)
    held = ingest(earlier).task
    second = task_folder(4)

    anew = foretell(second)
    some = foretell(second, budget=RefreshBudget(items=5))
    kept = foretell(second, refresh="project", around=replace(AROUND, replaces=False))
    still = foretell(second, method="frozen")
    shutil.rmtree(earlier)
    gone = foretell(second)

    # Earlier images count as far as they will be opened.
    assert anew.embedded_images - kept.embedded_images == held.train_images
    assert some.embedded_images - kept.embedded_images == 5
    assert gone.embedded_images == kept.embedded_images
    assert anew.disk_bytes < gone.disk_bytes  # whose items keep a map of drift
    # A generation that goes makes room.
    assert kept.growth_bytes == kept.disk_bytes == gone.disk_bytes
    assert 0 < gone.growth_bytes < gone.disk_bytes / 2
    # Where nothing moves, nothing is trained, and each new image is looked at once, held out or not.
    assert (still.steps, still.seconds_per_step) == (0, 0.0)
    assert still.embedded_images == 4 * PICTURES_PER_CATEGORY
    assert anew.steps > 0
    assert anew.seconds_per_step > 0


def test_single_precision_has_nothing_to_check(task_folder: Draw, foretell: Foretell) -> None:
    folder = task_folder(0)

    assert foretell(folder, precision="fp32").stages["check precision"] == 0.0
    assert foretell(folder, precision="bf16").stages["check precision"] > 0.0


def test_memory_is_what_measuring_took_or_what_the_task_will_need(
    task_folder: Draw, foretell: Foretell, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = task_folder(0)
    monkeypatch.setattr(estimating, "resident_memory_bytes", lambda: 10**6)

    monkeypatch.setattr(estimating, "peak_memory_bytes", lambda: 10**9)
    assert foretell(folder).peak_memory_bytes == 10**9
    monkeypatch.setattr(estimating, "peak_memory_bytes", lambda: 10**6)
    small = foretell(folder).peak_memory_bytes
    assert small is not None
    assert 10**6 < small < 10**7
    monkeypatch.setattr(estimating, "peak_memory_bytes", lambda: None)
    assert foretell(folder).peak_memory_bytes is None


def test_a_line_foretells_what_grows_evenly() -> None:
    line = Line.through((10.0, 3.0), (20.0, 5.0))

    assert (line(10.0), line(20.0), line(100.0)) == (3.0, 5.0, 21.0)
    assert Line.through((5.0, 2.0), (5.0, 2.0))(5.0) == 2.0
