"""Where each network of a cohort starts: one mapping, checked before anything is made."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cli.starting_weights import starting_weights
from continual_dml.embedding.backbones import Conv4
from continual_dml.embedding.cohort import weights_of_member
from continual_dml.errors import SettingsError
from continual_dml.settings import ModelSettings

SMALL = {"backbone": "conv4", "image_side_pixels": 16, "embedding_dim": 8}
FIRST = "blocks.0.0.weight"


@pytest.fixture
def files(tmp_path):
    """Return two files of weights that differ."""
    paths = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        paths.append(str(tmp_path / f"{seed}.safetensors"))
        save_file(Conv4().state_dict(), paths[-1])
    return paths


def test_from_scratch_there_are_no_weights_and_no_origin():
    start = starting_weights(ModelSettings(**SMALL, cohort=2), "none")

    assert (start.tensors, start.note) == (None, {})


def test_members_of_one_backbone_share_a_file(files):
    start = starting_weights(ModelSettings(**SMALL, cohort=3), files[0])

    assert start.tensors is not None
    assert not any(":" in name for name in start.tensors)
    assert [member["source"] for member in start.note["members"]] == ["0.safetensors"] * 2


def test_each_member_may_have_a_file_of_its_own(files):
    start = starting_weights(ModelSettings(**SMALL, cohort=2), files[0], [files[1]])

    first, second = (weights_of_member(start.tensors, number) for number in (0, 1))
    assert first is not None
    assert second is not None
    assert first.keys() == second.keys() == Conv4().state_dict().keys()
    assert not np.array_equal(first[FIRST], second[FIRST])
    assert start.note["source"] == "0.safetensors"
    assert start.note["members"][0]["source"] == "1.safetensors"


def test_a_single_network_has_no_members_in_its_note(files):
    assert "members" not in starting_weights(ModelSettings(**SMALL), files[0]).note


def test_an_unknown_backbone_of_a_further_member_is_suggested_against():
    model = ModelSettings(**SMALL, cohort=2, cohort_backbones=("resnet81",))

    with pytest.raises(SettingsError, match="did you mean resnet"):
        starting_weights(model, "none")


def test_a_file_made_for_another_backbone_is_refused(files):
    model = ModelSettings(**SMALL, cohort=2, cohort_backbones=("squeezenet1_1",))

    with pytest.raises(SettingsError, match="--cohort-weights"):
        starting_weights(model, files[0])
    with pytest.raises(SettingsError, match="do not fit backbone 'squeezenet1_1'"):
        starting_weights(ModelSettings(**{**vars_of(model), "image_side_pixels": 64}), files[0], [files[1]])


def vars_of(model: ModelSettings) -> dict[str, object]:
    return {name: getattr(model, name) for name in ModelSettings.__dataclass_fields__}


@pytest.mark.parametrize(
    ("weights", "further", "words"),
    [
        ("0", ["1", "1"], "2 of --cohort-weights for a cohort of 2"),
        ("0", ["none"], "cannot be mixed"),
        ("none", ["1"], "cannot be mixed"),
        ("0", ["missing.pth"], "no weights file at missing.pth"),
    ],
)
def test_weights_that_cannot_be_meant_are_refused(files, weights, further, words):
    def path(name: str) -> str:
        return files[int(name)] if name.isdigit() else name

    with pytest.raises(SettingsError, match=words):
        starting_weights(ModelSettings(**SMALL, cohort=2), path(weights), [path(name) for name in further])
