"""Layers that are exchanged compute what torch's own do, forth and back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import continual_dml
from continual_dml.embedding.processor_layers import (
    ClampedInPlace,
    StridedDepthwise,
    use_processor_layers,
)

ROOT = Path(continual_dml.__file__).parent.parent


def layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 1),
        nn.ReLU6(inplace=True),
        nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8),
        nn.ReLU6(inplace=True),
        nn.Conv2d(8, 4, 1),
    )


def exchanged() -> nn.Sequential:
    network = layers()
    use_processor_layers(network)
    return network


def learned(network: nn.Module, *, bf16: bool) -> list[torch.Tensor]:
    """Return what a network gives, and the gradients of the images and of all weights."""
    images = (6 * torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(1))).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        outputs = network(images)
    outputs.float().square().sum().backward()
    return [outputs, images.grad, *(weight.grad for weight in network.parameters())]


def test_only_relu6_in_place_and_depthwise_convolutions_with_strides_are_exchanged():
    network = nn.Sequential(
        *layers(), nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 8, 3, stride=2, groups=4), nn.ReLU6(), nn.ReLU()
    )
    before = [type(module) for module in network]
    use_processor_layers(network)
    changed = [number for number, module in enumerate(network) if type(module) is not before[number]]
    assert [type(network[number]) for number in changed] == [ClampedInPlace, StridedDepthwise, ClampedInPlace]


def test_the_weights_their_names_and_the_state_of_chance_stay():
    network = layers()
    weights, chance = network.state_dict(), torch.random.get_rng_state()
    use_processor_layers(network)
    assert torch.equal(torch.random.get_rng_state(), chance)
    assert list(network.state_dict()) == list(weights)
    assert all(network.state_dict()[name].data_ptr() == weights[name].data_ptr() for name in weights)


def test_in_single_precision_outputs_and_gradients_are_the_same():
    for ours, torchs in zip(learned(exchanged(), bf16=False), learned(layers(), bf16=False), strict=True):
        torch.testing.assert_close(ours, torchs, rtol=0, atol=0)


def test_in_half_precision_gradients_lie_no_further_from_the_exact_ones_than_torchs_own():
    exact = learned(layers(), bf16=False)
    ours, torchs = learned(exchanged(), bf16=True), learned(layers(), bf16=True)
    assert torch.equal(ours[0], torchs[0])
    for one, other, true in zip(ours, torchs, exact, strict=True):
        assert (one - true).norm() <= 1.1 * (other - true).norm() + 1e-6


@pytest.mark.parametrize("bf16", [False, True])
def test_what_is_not_being_trained_goes_through_torchs_own_layers(bf16, monkeypatch):
    monkeypatch.setattr("continual_dml.embedding.processor_layers._Clamp.apply", None)
    monkeypatch.setattr("continual_dml.embedding.processor_layers._Convolution.apply", None)
    network = exchanged().eval()
    assert len(learned(network, bf16=bf16)) == 8
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        assert torch.equal(network.train()(torch.ones(1, 3, 9, 9)), layers()(torch.ones(1, 3, 9, 9)))


def test_weights_that_are_frozen_get_no_gradient():
    network = exchanged()
    network[2].requires_grad_(False)
    learned_ones = learned(network, bf16=True)
    assert network[2].weight.grad is None
    assert network[2].bias.grad is None
    assert learned_ones[1].abs().sum() > 0


def test_a_network_is_made_without_loading_symbolic_algebra():
    program = (
        "import sys\n"
        "from continual_dml.embedding.embedder import build_embedder\n"
        "from continual_dml.settings import ModelSettings\n"
        "network = build_embedder(ModelSettings(image_side_pixels=32), None, seed=0)\n"
        "kinds = {type(module).__name__ for module in network.modules()}\n"
        "print('StridedDepthwise' in kinds, 'sympy' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.split() == ["True", "False"]
