"""What a refresh is worth, on kept images: measured where it can be, foretold where it cannot."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from continual_dml.workflows.compare_galleries import (
    ErrorScale,
    KeptImages,
    compare_galleries,
    error_scale,
)
from continual_dml.workflows.delete_items import delete_items
from continual_dml.workflows.evaluate import Labelled
from continual_dml.workflows.ingest_task import IngestResult
from continual_dml.workflows.kept_queries import born_queries
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.workspace import Workspace

Draw = Callable[..., Path]
Ingest = Callable[..., IngestResult]


def on_circle(*degrees: float) -> np.ndarray:
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


# Task 1: categories 0 and 1; task 2, the new one: category 2.
LIVE = on_circle(0, 5, 90, 95, 180, 185)
LABELS = Labelled(LIVE, np.array([0, 0, 1, 1, 2, 2]), np.array([1, 1, 1, 1, 2, 2]))
EARLIER = np.array([True, True, True, True, False, False])


def kept(stale: np.ndarray, projected: np.ndarray, predicted: np.ndarray | None = None) -> KeptImages:
    foretold = np.zeros(6) if predicted is None else predicted
    return KeptImages(LABELS, stale, projected, EARLIER, foretold)


def test_recalls_of_three_galleries_and_what_of_the_loss_the_projection_wins_back() -> None:
    swapped = on_circle(90, 95, 0, 5, 180, 185)  # categories 0 and 1 lie where the other one is now
    half_way = on_circle(0, 5, 270, 275, 180, 185)  # category 0 is back where it belongs
    found = compare_galleries(kept(swapped, half_way))
    assert (found["stale"], found["projected"], found["reembedded"]) == ([0.0], [0.5], [1.0])
    assert found["refresh_efficiency"] == 0.5
    assert found["tasks"] == [1]
    assert found["kept_images"] == 4


def test_overlap_of_what_is_not_moved_is_whole() -> None:
    found = compare_galleries(kept(LIVE[::-1].copy(), LIVE))
    assert found["overlap_at_10"]["projected"] == 1.0
    assert found["refresh_efficiency"] == 1.0


def test_the_scale_is_what_was_measured_over_what_was_foretold() -> None:
    projected = LIVE.copy()
    projected[:4] = on_circle(60, 5, 90, 95)  # the first is 60 degrees off: 1 - cosine is a half
    scale = error_scale(kept(LIVE, projected, np.array([0.4, 0.1, 0.1, 0.2, 9.0, 9.0])))
    assert scale.measured == pytest.approx(0.125, abs=1e-6)
    assert scale.predicted == pytest.approx(0.2)
    assert scale.factor == pytest.approx(0.625, abs=1e-5)
    assert scale.rank_correlation is not None and scale.rank_correlation > 0


def test_nothing_foretold_is_scaled_by_nothing() -> None:
    assert ErrorScale(0.0, 0.3, None).factor == 1.0


def test_the_report_says_what_the_refresh_was_worth_and_how_sure_each_part_is(
    task_folder: Draw, ingest: Ingest
) -> None:
    for first in (0, 4, 8):
        folder = task_folder(first)
        report = ingest(folder, refresh="project", steps=12).report
        shutil.rmtree(folder)
    found = report["compatibility"]
    assert found["tasks"] == [1, 2]
    assert [row["generation"] for row in found["rows"]] == [2, 3], "one row for each generation that moved"
    assert [len(row["projected"]) for row in found["rows"]] == [1, 2]
    assert 0 <= found["overlap_at_10"]["projected"] <= 1
    parts = {part["birth_generation"]: part for part in report["parts"]}
    assert parts[3]["estimated_error"] == {"mean": 0.0, "p90": 0.0}
    assert 0 < parts[1]["estimated_error"]["mean"] <= parts[1]["estimated_error"]["p90"] * 2
    [choice] = report["drift"]
    assert {"strength", "errors", "uncorrected", "found", "found_uncorrected"} == set(choice)
    assert "refresh_efficiency" in report["definitions"]


def test_queries_age_as_the_items_do_that_they_stand_for(
    task_folder: Draw, ingest: Ingest, workspace: Workspace
) -> None:
    ingest(task_folder(0))
    ingest(task_folder(4), refresh="project")
    with WorkspaceReader(workspace) as reader:
        births = {group.birth_generation: set(group.ids.tolist()) for group in born_queries(reader.artefacts)}
    assert sorted(births) == [1, 2]
    ingest(task_folder(8), refresh="reembed")
    with WorkspaceReader(workspace) as reader:
        [group] = born_queries(reader.artefacts)
    assert group.birth_generation == 3, "all items were embedded anew, and so were the queries"
    assert set(group.ids.tolist()) > births[1] | births[2]


def test_what_is_stored_of_a_deleted_query_goes_with_it(
    task_folder: Draw, ingest: Ingest, workspace: Workspace
) -> None:
    ingest(task_folder(0))
    with WorkspaceReader(workspace) as reader:
        [group] = born_queries(reader.artefacts)
    gone, *left = group.ids.tolist()
    with WorkspaceStore(workspace) as store:
        delete_items([gone], store, purge=True)
    with WorkspaceReader(workspace) as reader:
        [after] = born_queries(reader.artefacts)
    assert after.ids.tolist() == left
    assert len(after.features) == len(left)
    with WorkspaceStore(workspace) as store:
        delete_items(left, store, purge=False)
    with WorkspaceReader(workspace) as reader:
        assert born_queries(reader.artefacts) == []


def test_no_more_queries_are_asked_again_than_the_settings_say(
    task_folder: Draw, ingest: Ingest, workspace: Workspace
) -> None:
    few = replace(workspace.settings, evaluation=replace(workspace.settings.evaluation, earlier_queries=6))
    workspace = Workspace.create(workspace.root.parent / "few", few)
    asked = []
    for first in (0, 4, 8):
        report = ingest(task_folder(first), refresh="project", into=workspace).report
        asked.append([report["queries"][str(task)]["measured"] for task in range(1, len(asked) + 2)])
    assert asked[0][0] > 6, "all of the new task's queries are asked when it is learned"
    assert asked[1][0] == 6
    assert asked[2][:2] == [3, 3]
