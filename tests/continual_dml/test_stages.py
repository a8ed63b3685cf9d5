"""Where a network is cut, and that both halves together say what the whole says."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from continual_dml.embedding.backbones import build_backbone
from continual_dml.embedding.embedder import build_embedder, embedder_state
from continual_dml.embedding.extract import extract, extract_each
from continual_dml.embedding.stages import halves_of, same_trunk, stages_of
from continual_dml.errors import SettingsError
from continual_dml.settings import ModelSettings, Settings, TrainingSettings
from continual_dml.strategies.requirements import require_trainable
from tests.continual_dml.test_learner import CPU, images

CONV4 = ModelSettings(backbone="conv4", embedding_dim=8, image_side_pixels=16)


@pytest.mark.parametrize(
    ("name", "stages", "upper_shapes"),
    [
        ("conv4", 4, [(64, 4, 4), (64, 8, 8), (64, 16, 16)]),
        ("squeezenet1_1", 4, [(256, 1, 1), (128, 3, 3), (64, 7, 7)]),
        ("mobilenet_v2", 5, [(96, 2, 2), (32, 4, 4), (24, 8, 8), (16, 16, 16)]),
        ("resnet18", 5, [(256, 2, 2), (128, 4, 4), (64, 8, 8), (64, 8, 8)]),
    ],
)
def test_both_halves_together_are_the_network(name, stages, upper_shapes):
    backbone, _ = build_backbone(name, 32)
    backbone.eval()
    shown = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert stages_of(backbone, 32) == stages
    for upper, shape in enumerate(upper_shapes, start=1):
        halves = halves_of(backbone, name, 32, upper)
        assert halves.shape == shape
        with torch.no_grad():
            assert torch.equal(halves.upper(halves.trunk(shown)), backbone(shown))
        below, above = set(halves.trunk.state_dict()), set(halves.upper.state_dict())
        assert below | above == set(backbone.state_dict())
        assert not below & above
    assert halves_of(backbone, name, 32, stages) is None


def test_a_cut_lies_below_layers_that_widen_the_map_before_they_shrink_it():
    backbone, _ = build_backbone("mobilenet_v2", 128)
    halves = halves_of(backbone, "mobilenet_v2", 128, 1)
    assert halves.shape == (96, 8, 8)
    assert {name.split(".")[1] for name in halves.upper.state_dict()} == {"14", "15", "16", "17", "18"}


def test_more_stages_than_there_are_and_none_at_all_are_told_apart():
    with pytest.raises(SettingsError, match=r"'conv4' has 4 stages at 16 px; give at most that many"):
        halves_of(build_backbone("conv4", 16)[0], "conv4", 16, 5)
    patches = nn.Sequential(nn.Conv2d(3, 8, 16, 16), nn.Flatten(2), nn.Linear(4, 4))  # as a transformer has
    with pytest.raises(SettingsError, match=r"'patches' cannot be cut into stages"):
        halves_of(patches, "patches", 32, 1)


def test_a_frozen_trunk_changes_no_name_no_result_and_no_copy():
    embedder, plain = (build_embedder(CONV4, None, seed=0) for _ in range(2))
    embedder.freeze_trunk(1)
    assert list(embedder_state(embedder)) == list(embedder_state(plain))
    trained = [name for name, weight in embedder.named_parameters() if weight.requires_grad]
    assert all(name.startswith(("backbone.blocks.3", "projection")) for name in trained)

    shown = torch.rand(2, 3, 16, 16)
    kept = embedder.halves.trunk(shown)
    assert torch.equal(embedder(shown).embeddings, plain(shown).embeddings)
    assert torch.equal(embedder(kept).embeddings, plain(shown).embeddings)

    other = copy.deepcopy(embedder)
    with torch.no_grad():
        for weight in other.parameters():
            weight.mul_(1.5)
    assert torch.equal(embedder(kept).embeddings, plain(shown).embeddings)
    assert torch.equal(other(other.halves.trunk(shown)).embeddings, other(shown).embeddings)
    assert same_trunk(embedder.halves, copy.deepcopy(embedder).halves)
    assert not same_trunk(embedder.halves, other.halves)


def test_statistics_of_batch_norm_in_a_frozen_trunk_stay():
    embedder = build_embedder(replace(CONV4, pretrained=False), None, seed=0)
    embedder.freeze_trunk(2)
    before = embedder_state(embedder)
    embedder.train()(torch.rand(4, 3, 16, 16))
    moved = {name for name, value in embedder_state(embedder).items() if (value != before[name]).any()}
    assert {name.split(".")[2] for name in moved} == {"2", "3"}


def test_networks_with_one_trunk_extract_what_each_extracts_alone():
    embedders = [build_embedder(CONV4, None, seed=seed) for seed in (0, 0, 1)]
    with torch.no_grad():
        embedders[1].backbone.blocks[3][0].weight.mul_(2)
    pixels = images(0).pixels
    alone = [extract(embedder, pixels, CPU) for embedder in embedders]
    for embedder in embedders:
        embedder.freeze_trunk(1)
    passes = []
    for embedder in embedders:
        embedder.backbone.blocks[0].register_forward_hook(lambda *_: passes.append(1))
        embedder.backbone.blocks[0][0].register_forward_hook(lambda *_: passes.append(1))
    for own, shared in zip(alone, extract_each(embedders, pixels, CPU), strict=True):
        assert (own.features == shared.features).all()
        assert (own.outputs == shared.outputs).all()
    assert len(passes) == 2  # of three networks with two different trunks


@pytest.mark.parametrize(
    ("model", "training", "first", "message"),
    [
        ({"pretrained": False}, {"train_stages": 1}, True, "stages below would stay so"),
        ({}, {"train_stages": 7}, True, "has 4 stages"),
        ({"pretrained": False}, {"chunk_images": 4}, False, "would see chunks in place of batches"),
    ],
)
def test_what_cannot_be_trained_is_refused(model, training, first, message):
    settings = Settings(model=replace(CONV4, **model), training=TrainingSettings(**training))
    with pytest.raises(SettingsError, match=message):
        require_trainable(settings, first_task=first)


def test_later_tasks_may_freeze_what_earlier_ones_learned_from_scratch():
    settings = Settings(replace(CONV4, pretrained=False), TrainingSettings(train_stages=1))
    require_trainable(settings, first_task=False)
