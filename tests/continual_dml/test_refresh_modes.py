"""What becomes of old items where they are left alone, and where no weight moved."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from continual_dml.memory.discriminant_head import DiscriminantHead
from continual_dml.workflows.ingest_task import IngestResult
from storage.reader import WorkspaceReader
from storage.workspace import Workspace

Draw = Callable[..., Path]
Ingest = Callable[..., IngestResult]


def states(result: IngestResult) -> dict[str, int]:
    counts = {"fresh": 0, "projected": 0, "stale": 0}
    for part in result.report["parts"]:
        counts[part["state"]] += part["items"]
    return counts


def test_keep_leaves_old_vectors_as_they_are_and_says_that_they_are_stale(
    task_folder: Draw, ingest: Ingest, workspace: Workspace
) -> None:
    ingest(task_folder(0))
    with WorkspaceReader(workspace) as reader:
        old = reader.artefacts.read_tensors("vectors-00000001.safetensors")["vectors"]
    result = ingest(task_folder(4), refresh="keep")
    assert states(result)["stale"] == len(old)
    with WorkspaceReader(workspace) as reader:
        kept = reader.artefacts.read_tensors("vectors-00000001.safetensors")["vectors"]
    assert np.array_equal(old, kept)


def test_a_frozen_model_leaves_every_item_fresh_without_opening_an_image(
    task_folder: Draw, ingest: Ingest
) -> None:
    first = task_folder(0)
    ingest(first, method="frozen")
    shutil.rmtree(first)
    assert states(ingest(task_folder(4), method="frozen"))["projected"] == 0


@pytest.mark.parametrize("refresh", ["keep", "auto"])
def test_where_no_weight_moved_old_vectors_still_get_the_new_head(
    task_folder: Draw, ingest: Ingest, workspace: Workspace, refresh: str
) -> None:
    ingest(task_folder(0), method="frozen")
    result = ingest(task_folder(4), method="frozen", refresh=refresh)
    with WorkspaceReader(workspace) as reader:
        features = reader.artefacts.read_tensors("items-00000001.safetensors")["features"]
        vectors = reader.artefacts.read_tensors("vectors-00000001.safetensors")["vectors"]
        head = reader.artefacts.read_tensors("head.safetensors")
    live_head = DiscriminantHead(head["projection"], head["centre"])
    np.testing.assert_allclose(vectors, live_head(features), atol=1e-5)
    assert states(result)["stale"] == 0
