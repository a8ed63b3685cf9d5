"""A cohort in a workspace: ingested, refreshed without images, and asked, with nothing faked."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from continual_dml.settings import ModelSettings
from continual_dml.workflows.ingest_task import IngestResult
from continual_dml.workflows.search import Searcher
from continual_dml.workflows.state_files import stored_state
from storage.reader import WorkspaceReader
from storage.workspace import Workspace
from streams.image_reader import ThreadedImageReader

Draw = Callable[..., Path]
Ingest = Callable[..., IngestResult]


@pytest.fixture
def cohort_workspace(tmp_path: Path, workspace: Workspace) -> Callable[..., Workspace]:
    """Return a function that makes a workspace like the usual one, for a cohort of two."""

    def make(**model: object) -> Workspace:
        own = ModelSettings(**{**plain_fields(workspace.settings.model), "cohort": 2, **model})
        settings = replace(workspace.settings, model=own)
        return Workspace.create(tmp_path / "cohort", settings)

    return make


def plain_fields(model: ModelSettings) -> dict[str, object]:
    names = ("backbone", "pretrained", "embedding_dim", "image_side_pixels")
    return {name: getattr(model, name) for name in names}


@pytest.mark.parametrize(("ensemble", "width"), [("concatenated", 16), ("pca", 8)])
def test_a_cohort_answers_for_categories_whose_images_are_gone(
    cohort_workspace: Callable[..., Workspace],
    task_folder: Draw,
    ingest: Ingest,
    ensemble: str,
    width: int,
) -> None:
    workspace = cohort_workspace(ensemble=ensemble)
    assert Workspace.open(workspace.root).settings == workspace.settings
    first = task_folder(0)
    question = str(first / "category-1" / "0.png")
    ingest(first, into=workspace, steps=20)
    side = workspace.settings.model.stored_side_pixels
    pixels, _ = ThreadedImageReader(side, workspace.settings.streams).read([question])
    shutil.rmtree(first)
    result = ingest(task_folder(4), into=workspace, steps=20)
    assert {part["state"] for part in result.report["parts"]} == {"projected", "fresh"}
    with WorkspaceReader(workspace) as reader:
        names = set(reader.artefacts.names())
        assert {"model.safetensors", "model-1.safetensors", "drift-00000002-1.safetensors"} <= names
        searcher = Searcher.open(reader.artefacts)
        assert reader.index().dimension == width
        assert searcher.embed(pixels).shape == (1, width)
        found = reader.index().search(searcher.embed(pixels), k=3)
        items = reader.items(found.ids[0].tolist())
        assert [items[int(item_id)].category for item_id in found.ids[0]] == ["category-1"] * 3
        assert np.all(np.diff(found.similarities[0]) <= 1e-6)
    assert [member["member"] for member in result.report["members"]] == [0, 1]


def test_projected_vectors_are_the_ensemble_of_each_members_map_and_head(
    cohort_workspace: Callable[..., Workspace], task_folder: Draw, ingest: Ingest
) -> None:
    workspace = cohort_workspace()
    ingest(task_folder(0), into=workspace)
    ingest(task_folder(4), refresh="project", into=workspace)
    with WorkspaceReader(workspace) as reader:
        state = stored_state(reader.artefacts, cohort=2)
        born = reader.artefacts.read_tensors("items-00000001.safetensors")["features"].astype(np.float64)
        vectors = reader.artefacts.read_tensors("vectors-00000001.safetensors")["vectors"]
    assert born.shape[1] == 2 * 576
    for row, feature in enumerate(born[:5]):
        parts = []
        for member, half in zip(state.members, np.split(feature, 2), strict=True):
            drift = member.drift.from_birth(1, 576)
            embedding = member.head.projection.T @ (drift.matrix @ half + drift.offset - member.head.centre)
            parts.append(embedding / np.linalg.norm(embedding))
        assert np.allclose(vectors[row], np.concatenate(parts) / np.sqrt(2), atol=1e-4)
