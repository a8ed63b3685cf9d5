"""Where a workspace's network starts from."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch
from safetensors.torch import save_file

from continual_dml.embedding.backbones import Conv4
from storage.workspace import Workspace

CONV4 = ("--backbone", "conv4", "--image-side", "32")


@pytest.fixture
def empty_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_weights_of_a_file_are_kept_in_the_workspace_with_their_origin(cdml, tmp_path, suffix):
    weights = Conv4().state_dict()
    path = tmp_path / f"mine.{suffix}"
    if suffix == "pth":
        torch.save(weights, path)
    else:
        save_file(weights, path)

    run = cdml("-w", tmp_path / "ws", "init", *CONV4, "--weights", path, "--json")

    assert run.code == 0, run.err
    note = json.loads(run.out)["weights"]
    assert note["source"] == path.name
    assert note["source_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    kept = Workspace.open(tmp_path / "ws").initial_weights()
    assert kept is not None
    assert kept.keys() == weights.keys()
    assert all(torch.equal(torch.from_numpy(kept[name]), value) for name, value in weights.items())


def test_without_cached_weights_the_error_names_the_ways_out(cdml, tmp_path, empty_cache):
    run = cdml("-w", tmp_path / "ws", "init", "--backbone", "squeezenet1_1", "--image-side", "64")

    assert run.code == 2
    for way in ("--weights imagenet", "--weights FILE", "cache folder", "--weights none"):
        assert way in run.err
    assert not (tmp_path / "ws").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--weights", "missing.safetensors"), "no weights file at missing.safetensors"),
        (("--backbone", "mobilnet_v2"), "did you mean mobilenet_v2"),
        (("--weights", "none", "--image-side", "1"), "image-side is 1"),
        (("--weights", "none", "--feature-map", "sqr"), "did you mean sqrt"),
        (("--weights", "none", "--embedding-dim", "1"), "embedding-dim is 1"),
    ],
)
def test_an_init_that_cannot_work_is_a_usage_error_and_leaves_nothing(
    cdml, tmp_path, options, words, empty_cache
):
    run = cdml("-w", tmp_path / "ws", "init", *(() if "--backbone" in options else CONV4), *options)

    assert run.code == 2
    assert words in run.err
    assert len(run.error_lines) == 1
    assert not (tmp_path / "ws").exists()


def test_the_password_of_a_database_is_never_shown(cdml, tmp_path):
    url = "postgresql+psycopg://me:hunter2@127.0.0.1:1/none"

    run = cdml("-w", tmp_path / "ws", "init", *CONV4, "--weights", "none", "--database-url", url)

    assert run.code in (1, 2)  # 2 where the driver is not installed
    assert len(run.error_lines) == 1
    assert "hunter2" not in run.out + run.err
