"""The no-match threshold of real generations: tested on the next task, calibrated, carried over, applied."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from continual_dml.ports import SilentListener
from continual_dml.records import Role
from continual_dml.settings import NO_LIMIT
from continual_dml.strategies.acceptance import LOOKED_AT, AcceptanceRule
from continual_dml.verdicts import Verdict
from continual_dml.workflows.delete_items import delete_items
from continual_dml.workflows.ingest_task import IngestResult
from continual_dml.workflows.refresh_gallery import RefreshTools
from continual_dml.workflows.refresh_items import refresh_items
from continual_dml.workflows.search import Searcher
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.summary import read_report
from storage.workspace import Workspace
from streams.image_reader import ThreadedImageReader

Draw = Callable[..., Path]
Ingest = Callable[..., IngestResult]


@pytest.fixture
def lax(workspace: Workspace, tmp_path: Path) -> Workspace:
    """A workspace whose threshold needs two categories only."""
    evaluation = replace(workspace.settings.evaluation, false_accepts=0.4)
    return Workspace.create(tmp_path / "lax", replace(workspace.settings, evaluation=evaluation))


def pixels_of(workspace: Workspace, paths: list[str]) -> np.ndarray:
    settings = workspace.settings
    return ThreadedImageReader(settings.model.stored_side_pixels, settings.streams).read(paths)[0]


def judged(reader: WorkspaceReader, pixels: np.ndarray) -> list[Verdict]:
    searcher = Searcher.open(reader.artefacts)
    found = reader.index().search(searcher.embed(pixels), LOOKED_AT)
    items = reader.items(sorted(set(found.ids.ravel().tolist())))
    return [
        searcher.rule.judge(row.tolist(), [items[int(number)].category_id for number in ids])
        for row, ids in zip(found.similarities, found.ids, strict=True)
    ]


def test_a_generation_with_few_categories_has_no_threshold_and_says_why(
    task_folder: Draw, ingest: Ingest
) -> None:
    found = ingest(task_folder(0)).report["no_match"]
    assert found["threshold"] is None
    assert "4 could stand for unknown ones" in found["reason"]
    assert found["tests"] == []
    assert len(found["categories"]) == 4


def test_each_task_tests_what_queries_would_have_been_told_the_day_before(
    task_folder: Draw, ingest: Ingest, lax: Workspace
) -> None:
    first = ingest(task_folder(0), into=lax).report
    with WorkspaceReader(lax) as before:
        second = ingest(task_folder(4), into=lax).report
        with WorkspaceReader(lax) as now:
            new = [
                item
                for item in now.items(range(1, 200)).values()
                if item.task_id == 2 and item.role is Role.GALLERY
            ]
        verdicts = judged(before, pixels_of(lax, [item.path for item in new]))
    [test] = second["no_match"]["tests"]
    assert (test["generation"], test["task_id"], test["categories"], test["images"]) == (1, 2, 4, len(new))
    assert test["threshold"] == first["no_match"]["threshold"]
    shares = [
        np.mean([v.match for v, item in zip(verdicts, new, strict=True) if item.category_id == category])
        for category in sorted({item.category_id for item in new})
    ]
    assert test["accepted"] == pytest.approx(np.mean(shares))
    assert second["no_match"]["unknown"] == {"simulated": 8, "never_seen": 4}


def test_more_images_of_known_categories_are_no_test(
    task_folder: Draw, ingest: Ingest, lax: Workspace
) -> None:
    ingest(task_folder(0), into=lax)
    more = task_folder(20, categories=2)
    for number in (20, 21):
        (more / f"category-{number}").rename(more / f"category-{number - 20}")
    assert ingest(more, into=lax).report["no_match"]["tests"] == []


def test_the_held_out_queries_are_accepted_as_often_as_the_report_says(
    task_folder: Draw, ingest: Ingest, lax: Workspace
) -> None:
    report = ingest(task_folder(0), into=lax).report
    with WorkspaceReader(lax) as reader:
        held_out = [one for one in reader.items(range(1, 200)).values() if one.role is Role.QUERY]
        verdicts = judged(reader, pixels_of(lax, [one.path for one in held_out]))
    assert len(verdicts) == report["no_match"]["queries"]
    accepted = np.mean([verdict.match for verdict in verdicts])
    assert accepted == pytest.approx(report["no_match"]["true_accepts"])


def test_a_refresh_calibrates_again_and_a_deletion_keeps_the_rule(
    task_folder: Draw, ingest: Ingest, lax: Workspace
) -> None:
    ingest(task_folder(0), into=lax)
    carried = ingest(task_folder(4), refresh="project", into=lax).report["no_match"]
    reader = ThreadedImageReader(lax.settings.model.stored_side_pixels, lax.settings.streams)
    with WorkspaceStore(lax) as store:
        tools = RefreshTools(store, reader, SilentListener())
        fresh = refresh_items("auto", NO_LIMIT, tools, lax.settings).report["no_match"]
    assert fresh["tests"] == carried["tests"]
    assert fresh["categories"] != carried["categories"]
    with WorkspaceStore(lax) as store:
        delete_items([1, 2], store, purge=False)
    with WorkspaceReader(lax) as reading:
        rule = AcceptanceRule.from_report(reading.artefacts.read_json("report.json"))
    assert rule == AcceptanceRule.from_report({"no_match": fresh})


def test_the_report_names_the_categories(task_folder: Draw, ingest: Ingest, lax: Workspace) -> None:
    ingest(task_folder(0, categories=2), into=lax)
    figures = read_report(lax)["no_match"]["categories"]
    assert sorted(one["name"] for one in figures.values()) == ["category-0", "category-1"]


def test_false_accepts_of_zero_switch_the_threshold_off(
    task_folder: Draw, ingest: Ingest, workspace: Workspace, tmp_path: Path
) -> None:
    evaluation = replace(workspace.settings.evaluation, false_accepts=0.0)
    off = Workspace.create(tmp_path / "off", replace(workspace.settings, evaluation=evaluation))
    found = ingest(task_folder(0, categories=2), into=off).report["no_match"]
    assert found["threshold"] is None
    assert "switched off" in found["reason"]
