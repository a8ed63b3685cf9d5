"""Refreshing a gallery without learning: what is reachable is embedded anew, the most doubtful first."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from continual_dml.errors import CatalogError, GalleryError
from continual_dml.ports import SilentListener
from continual_dml.records import VectorState
from continual_dml.settings import NO_LIMIT, RefreshBudget
from continual_dml.workflows.delete_items import delete_items
from continual_dml.workflows.ingest_task import IngestResult
from continual_dml.workflows.kept_queries import born_queries, seen_queries
from continual_dml.workflows.refresh_gallery import RefreshTools
from continual_dml.workflows.refresh_items import RefreshResult, refresh_items
from continual_dml.workflows.search import Searcher
from continual_dml.workflows.state_files import stored_state
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.workspace import Workspace
from streams.image_reader import ThreadedImageReader

Draw = Callable[..., Path]
Ingest = Callable[..., IngestResult]


def refresh(workspace: Workspace, mode: str = "auto", budget: RefreshBudget = NO_LIMIT) -> RefreshResult:
    settings = workspace.settings
    reader = ThreadedImageReader(settings.model.stored_side_pixels, settings.streams)
    with WorkspaceStore(workspace) as store:
        return refresh_items(mode, budget, RefreshTools(store, reader, SilentListener()), settings)


def vectors_of(workspace: Workspace) -> dict[int, np.ndarray]:
    with WorkspaceReader(workspace) as reader:
        names = [name for name in reader.artefacts.names() if name.startswith("items-")]
        found = {}
        for name in names:
            ids = reader.artefacts.read_tensors(name)["ids"]
            vectors = reader.artefacts.read_tensors(name.replace("items", "vectors"))["vectors"]
            found |= dict(zip(ids.tolist(), vectors, strict=True))
    return found


@pytest.fixture
def carried(task_folder: Draw, ingest: Ingest, workspace: Workspace) -> Workspace:
    """A workspace whose first task's items were carried forward though their images are there."""
    ingest(task_folder(0))
    ingest(task_folder(4), refresh="project")
    return workspace


def test_everything_reachable_becomes_what_the_live_model_says(carried: Workspace, ingest: Ingest) -> None:
    before = vectors_of(carried)
    result = refresh(carried)
    assert result.published
    assert result.before["projected"] == result.reembedded > 0
    assert result.after == {"fresh": len(before), "projected": 0, "stale": 0}
    after = vectors_of(carried)
    assert after.keys() == before.keys(), "no item is lost and none changes its number"
    with WorkspaceReader(carried) as reader:
        searcher = Searcher.open(reader.artefacts)
        side = carried.settings.model.stored_side_pixels
        images = ThreadedImageReader(side, carried.settings.streams)
        items = reader.items(sorted(after))
        pixels, _ = images.read([items[number].path for number in sorted(after)])
        assert np.allclose(searcher.embed(pixels), [after[number] for number in sorted(after)], atol=2e-3)
        model = stored_state(reader.artefacts, cohort=1)
    assert not model.drift.steps, "nothing is left that would need a map"


def test_a_budget_is_spent_on_what_the_maps_know_least_about(carried: Workspace) -> None:
    before = vectors_of(carried)
    with WorkspaceReader(carried) as reader:
        state = stored_state(reader.artefacts, cohort=1)
        born = reader.artefacts.read_tensors("items-00000001.safetensors")
    doubt = state.drift.steps[2].doubt.leverage(born["features"])
    head = state.head.lengthy(state.carried(born["features"], 1))
    errors = (1 + doubt) / np.square(head).sum(axis=1)
    result = refresh(carried, budget=RefreshBudget(items=5))
    assert result.reembedded == 5
    after = vectors_of(carried)
    changed = {number for number in before if not np.array_equal(before[number], after[number])}
    assert changed == set(born["ids"][np.argsort(-errors)[:5]].tolist())


def test_no_time_embeds_nothing_and_publishes_nothing(carried: Workspace) -> None:
    result = refresh(carried, budget=RefreshBudget(seconds=0.0))
    assert not result.published
    assert result.reembedded == 0
    with WorkspaceReader(carried) as reader:
        assert reader.generation == result.generation


def test_images_that_are_gone_stay_carried(carried: Workspace, task_folder: Draw, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "task-from-0" / "category-0")
    result = refresh(carried)
    assert 0 < result.after["projected"] < result.before["projected"]
    again = refresh(carried)
    assert not again.published, "what is left cannot be opened"
    with pytest.raises(GalleryError, match=r"8 images of earlier tasks are missing|missing or have changed"):
        refresh(carried, "reembed")


def test_stale_items_are_carried_when_their_images_are_gone(
    task_folder: Draw, ingest: Ingest, workspace: Workspace
) -> None:
    first = task_folder(0)
    ingest(first)
    report = ingest(task_folder(4), refresh="keep").report
    assert {part["state"] for part in report["parts"]} == {"stale", "fresh"}
    shutil.rmtree(first)
    result = refresh(workspace)
    assert result.published
    assert result.reembedded == 0
    assert result.after["stale"] == 0 < result.after["projected"]
    matrix = result.report["recall_at_k"]["1"]
    assert matrix[0] == report["recall_at_k"]["1"][0], "the row of the first task is history"
    assert len(matrix) == 2, "the row of the last task is measured again, none is added"
    kept = [part for part in result.report["parts"] if part["state"] == VectorState.PROJECTED.value]
    assert sum(part["items"] for part in kept) == result.after["projected"]


def test_there_is_nothing_to_refresh_before_the_first_task(workspace: Workspace) -> None:
    with pytest.raises(CatalogError, match="nothing to refresh"):
        refresh(workspace)


def test_a_gallery_that_is_fresh_is_left_alone(
    task_folder: Draw, ingest: Ingest, workspace: Workspace
) -> None:
    ingest(task_folder(0))
    for mode in ("auto", "reembed", "project"):
        assert not refresh(workspace, mode).published


def test_a_model_that_did_not_move_is_asked_what_it_has_seen_already(carried: Workspace) -> None:
    with WorkspaceStore(carried) as store:
        items = store.query_items(per_task=1000)
        for item in items:
            Path(store.query_copy_path(item.content_hash)).unlink()
    result = refresh(carried)
    assert result.published
    assert sum(len(row) for row in result.report["recall_at_k"]["1"]) == 3
    assert [task["query_images"] for task in result.report["tasks"]] == [
        sum(item.task_id == task for item in items) for task in (1, 2)
    ]
    with WorkspaceReader(carried) as reader:
        seen = seen_queries(reader.artefacts)
    assert sorted(seen.ids.tolist()) == sorted(item.item_id for item in items)


def test_a_deleted_query_is_not_kept_in_any_form(carried: Workspace) -> None:
    with WorkspaceStore(carried) as store:
        gone, *left = store.query_items(per_task=1000)
        delete_items([gone.item_id], store, purge=True)
    with WorkspaceReader(carried) as reader:
        seen, born = seen_queries(reader.artefacts), born_queries(reader.artefacts)
    assert sorted(seen.ids.tolist()) == sorted(item.item_id for item in left)
    assert gone.item_id not in np.concatenate([group.ids for group in born])
