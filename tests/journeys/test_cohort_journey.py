"""A workspace whose networks learn together and answer together, through the command line alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from continual_dml.embedding.backbones import Conv4
from storage.reader import WorkspaceReader
from storage.workspace import Workspace
from streams.glyphs import render_task

CONV4 = ("--backbone", "conv4", "--image-side", "32", "--embedding-dim", "8")
TINY_INIT = (*CONV4, "--weights", "none")
TINY_TASK = ("--steps", "2", "--device", "cpu", "--precision", "fp32", "--no-averaging")
BATCH = ("--batch-categories", "3", "--images-per-category", "2")


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    root = tmp_path_factory.mktemp("tasks")
    for name in ("latin", "greek"):
        render_task(name, root / name, categories=3, samples_per_category=6, side_pixels=32)
    return root


@pytest.mark.parametrize(("ensemble", "length"), [("concatenated", 16), ("pca", 8)])
def test_a_cohort_learns_answers_and_reports_each_member_beside_the_ensemble(
    cdml, tmp_path, tasks, ensemble, length
):
    workspace = tmp_path / "ws"
    cohort = ("--cohort", "2", "--ensemble", ensemble)
    made = json.loads(cdml("init", "-w", workspace, *TINY_INIT, *cohort, "--json").out)
    assert made["cohort"] == {
        "members": 2,
        "backbones": ["conv4", "conv4"],
        "ensemble": ensemble,
        "embedding_length": length,
    }

    learn = ("-w", workspace, "ingest-task")
    first = cdml(*learn, tasks / "latin", *TINY_TASK, *BATCH, "--set", "cohort.transfer=5")
    second = cdml(*learn, tasks / "greek", *TINY_TASK, "--refresh", "project", "--json")
    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert "member 1 alone" in first.out
    assert "Members: average Recall@1" in first.out

    report = json.loads(cdml("-w", workspace, "report", "--json").out)
    assert report["schema_version"] == 1
    assert json.loads(second.out)["members"] == report["members"]
    assert [member["member"] for member in report["members"]] == [0, 1]
    assert all(0 <= member["average_recall_at_1"] <= 1 for member in report["members"])
    assert "ensemble" in cdml("-w", workspace, "report").out
    with WorkspaceReader(Workspace.open(workspace)) as reader:
        vectors = reader.artefacts.read_tensors("vectors-00000002.safetensors")["vectors"]
    assert vectors.shape[1] == length
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    image = next((tasks / "greek").rglob("*.png"))
    found = json.loads(cdml("-w", workspace, "query", image, "-k", "2", "--json").out)
    assert len(found["queries"][0]["neighbours"]) == 2


def test_self_distillation_is_written_into_what_is_published(cdml, tmp_path, tasks, monkeypatch):
    workspace = tmp_path / "ws"
    monkeypatch.setenv("CDML_SELF_DISTILLATION_WEIGHT", "20")
    cdml("init", "-w", workspace, *TINY_INIT)

    distil = ("--self-distillation", "obd", "--self-distillation-teacher", "memory")
    run = cdml(
        "ingest-task", tasks / "latin", *TINY_TASK, *distil, "--set", "training.seed=4", "-w", workspace
    )

    assert run.code == 0, run.err
    manifest = json.loads((workspace / "gen" / "00000001" / "MANIFEST.json").read_text())
    training = json.dumps(manifest)
    assert '"kind": "obd"' in training
    assert '"teacher": "memory"' in training
    assert '"weight": 20.0' in training
    assert '"seed": 4' in training
    assert "members" not in json.loads(cdml("-w", workspace, "report", "--json").out)


def test_weights_of_each_member_are_kept_with_their_origin(cdml, tmp_path):
    paths = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        paths.append(tmp_path / f"{seed}.safetensors")
        save_file(Conv4().state_dict(), paths[-1])
    start = ("--weights", paths[0], "--cohort", "2", "--cohort-weights", paths[1])

    run = cdml("init", "-w", tmp_path / "ws", *CONV4, *start)

    assert run.code == 0, run.err
    assert "cohort of 2 (conv4 from 0.safetensors, conv4 from 1.safetensors), 16 numbers per image" in run.out
    opened = Workspace.open(tmp_path / "ws")
    kept = opened.initial_weights()
    assert kept is not None
    assert {name for name in kept if name.startswith("1:")} == {f"1:{name}" for name in Conv4().state_dict()}
    assert opened.weights_note["members"][0]["source"] == "1.safetensors"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--cohort", "0"), "cohort is 0"),
        (("--cohort", "99"), "cohort is 99"),
        (("--cohort", "2", "--ensemble", "mean"), "unknown ensemble 'mean'"),
        (("--cohort", "2", "--cohort-backbones", "conv5"), "did you mean conv4"),
        (("--cohort", "2", "--cohort-backbones", "conv4,conv4"), "2 further backbones for a cohort of 2"),
        (("--cohort-backbones", "conv4"), "1 further backbones for a cohort of 1"),
        (("--cohort", "2", "--cohort-weights", "missing.pth"), "cannot be mixed"),
    ],
)
def test_a_cohort_that_cannot_be_is_a_usage_error_and_leaves_nothing(cdml, tmp_path, options, words):
    run = cdml("init", "-w", tmp_path / "ws", *TINY_INIT, *options)

    assert run.code == 2
    assert words in run.err
    assert len(run.error_lines) == 1
    assert not (tmp_path / "ws").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--set", "model.cohort=2"), "make another workspace"),
        (("--set", "objective.mutal=1"), "did you mean mutual"),
        (("--set", "mutual"), "write section.name=value"),
        (("--self-distillation", "obdd"), "did you mean obd"),
        (("--self-distillation-teacher", "snapshoot"), "did you mean snapshot"),
        (("--self-distillation-weight", "-1"), "self-distillation weight is -1"),
        (("--images-per-category", "1"), "images-per-category is 1"),
    ],
)
def test_an_ingest_refuses_settings_that_cannot_be(cdml, site, arrows, options, words):
    run = cdml("-w", site.workspace, "ingest-task", arrows, *TINY_TASK, *options)

    assert (run.code, run.out) == (2, "")
    assert words in run.err
    assert len(run.error_lines) == 1
