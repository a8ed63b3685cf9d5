"""A small stream of real photos with real ImageNet weights, through the command line."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest

from streams.splits import write_split

SHARED = Path(os.environ.get("CDML_TEST_DATA", Path(__file__).resolve().parents[3] / "shared"))
PHOTOS = SHARED / "data" / "grocery-160.zip"
WEIGHTS = SHARED / "weights" / "mobilenet_v2-imagenet1k.safetensors"


@pytest.mark.data
@pytest.mark.slow
def test_two_tasks_of_real_photos_are_learned_found_and_hardly_forgotten(cdml, tmp_path):
    for needed in (PHOTOS, WEIGHTS):
        if not needed.is_file():
            pytest.skip(f"{needed} is not there; set CDML_TEST_DATA to the folder with data/ and weights/")
    with zipfile.ZipFile(PHOTOS) as archive:
        archive.extractall(tmp_path / "all")
    tasks = write_split(tmp_path / "all", tmp_path / "tasks", [8, 4], seed=0)
    workspace = ("-w", tmp_path / "workspace", "--json")
    assert cdml("init", "--weights", WEIGHTS, "--image-side", "96", *workspace).code == 0
    for task in tasks:
        run = cdml("ingest-task", task, "--steps", "8", *workspace)
        assert run.code == 0, run.err

    report = json.loads(cdml("report", *workspace).out)

    (first,), (first_later, second) = report["recall_at_k"]["1"]
    assert min(first, first_later, second) > 0.6, "chance is one in twelve"
    assert first - first_later < 0.15
    photo = next((tasks[1] / "test").rglob("*.jpg"))
    found = json.loads(cdml("query", photo, "-k", "5", *workspace).out)["queries"][0]["neighbours"]
    assert len(found) == 5
    assert [n["score"] for n in found] == sorted((n["score"] for n in found), reverse=True)
