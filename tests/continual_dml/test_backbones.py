"""Any torchvision classification network becomes a feature extractor."""

import pytest
import torch
from torch import nn

from continual_dml.embedding.backbones import backbone_names, build_backbone
from continual_dml.embedding.batch_norm import fold_batch_norm
from continual_dml.errors import SettingsError, UnknownChoice

# One small member of each family, and the length of its pooled feature as its paper gives it.
FAMILIES = {
    "conv4": 576,
    "mobilenet_v2": 1280,
    "mobilenet_v3_small": 1024,
    "resnet18": 512,
    "squeezenet1_1": 512,
    "shufflenet_v2_x0_5": 1024,
    "mnasnet0_5": 1280,
    "densenet121": 1024,
    "efficientnet_b0": 1280,
    "regnet_y_400mf": 440,
    "googlenet": 1024,
    "inception_v3": 2048,
    "convnext_tiny": 768,
    "swin_t": 768,
}


def shake(network: nn.Module) -> None:
    """Give batch norm statistics that a mistake would show up with."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            module.weight.data.uniform_(0.5, 1.5, generator=generator)


@pytest.mark.parametrize("name", FAMILIES)
def test_features_have_the_familys_length_and_survive_folding_of_batch_norm(name: str) -> None:
    side = 96
    backbone, feature_dim = build_backbone(name, side)
    assert feature_dim == FAMILIES[name]
    shake(backbone.eval())
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = backbone(images)
        fold_batch_norm(backbone)
        after = backbone(images)
    assert before.shape == (2, feature_dim)
    assert torch.allclose(before, after, rtol=1e-3, atol=1e-4 * before.abs().max().item())


def test_folding_removes_every_batch_norm_that_follows_a_convolution() -> None:
    backbone, _ = build_backbone("mobilenet_v2", 32)
    assert fold_batch_norm(backbone) == 52
    assert not any(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())


def test_a_batch_norm_before_its_convolution_is_left_alone() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1))
    assert fold_batch_norm(network) == 0
    assert isinstance(network[0], nn.BatchNorm2d)


def test_a_convolution_whose_output_is_used_twice_is_not_folded() -> None:
    class Forked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            mixed = self.convolution(images)
            return self.norm(mixed) + mixed

    assert fold_batch_norm(Forked()) == 0


def test_an_unknown_backbone_is_answered_with_the_closest_names() -> None:
    with pytest.raises(UnknownChoice, match="did you mean .*mobilenet_v2"):
        build_backbone("mobilenetv2", 64)


def test_an_image_size_that_a_network_cannot_take_is_said_early() -> None:
    with pytest.raises(SettingsError, match="maxvit_t.*cannot take 64 px"):
        build_backbone("maxvit_t", 64)


def test_every_classification_model_of_torchvision_is_offered() -> None:
    names = backbone_names()
    assert {"conv4", "resnet50", "vit_b_16", "efficientnet_v2_s"} <= set(names)
    assert not any("rcnn" in name or "lraspp" in name or "raft" in name for name in names)
