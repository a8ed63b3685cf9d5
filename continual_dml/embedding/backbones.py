"""Networks without their classifier: images (B, 3, S, S) to pooled features (B, F)."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import nn

from continual_dml.embedding.module_paths import replace_module
from continual_dml.embedding.torchvision_guard import import_torchvision
from continual_dml.errors import SettingsError, UnknownChoice

CONV4_WIDTH = 64
CONV4_GRID = 3  # a coarse grid keeps where strokes are, which a global mean would forget


class Conv4(nn.Module):
    """The four-block network of few-shot learning (Vinyals et al. 2016), for small images.

    Each block is convolution, batch norm, ReLU and 2x2 max-pooling; the result is averaged over a 3 x 3 grid,
    so features have 576 numbers.
    """

    def __init__(self) -> None:
        super().__init__()
        widths = [3, *[CONV4_WIDTH] * 4]
        self.blocks = nn.Sequential(*[_conv4_block(a, b) for a, b in pairwise(widths)])
        self.pool = nn.AdaptiveAvgPool2d(CONV4_GRID)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return features (B, 576) of ``images`` (B, 3, S, S)."""
        return cast(torch.Tensor, self.pool(self.blocks(images))).flatten(1)


def _conv4_block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
    )


class SqueezeNetFeatures(nn.Module):
    """SqueezeNet's ``features`` and a global mean; its classifier is a convolution, not a linear layer."""

    def __init__(self, features: nn.Module) -> None:
        super().__init__()
        self.features = features

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return features (B, 512) of ``images`` (B, 3, S, S)."""
        return cast(torch.Tensor, self.features(images)).mean(dim=(2, 3))


def backbone_names() -> list[str]:
    """Return every name that :func:`build_backbone` takes."""
    models = import_torchvision().models
    return sorted(["conv4", *models.list_models(module=models)])


def build_backbone(name: str, image_side_pixels: int) -> tuple[nn.Module, int]:
    """Return a randomly initialised backbone and its feature length F.

    Args:
        name: ``conv4`` or the name of any torchvision classification model.
        image_side_pixels: side S of the square images it will see; vision transformers are built for it.

    Raises:
        UnknownChoice: no such network.
        SettingsError: the network cannot take images of this size.
    """
    if name == "conv4":
        return _probed(Conv4(), name, image_side_pixels)
    models = import_torchvision().models
    if name not in models.list_models(module=models):
        raise UnknownChoice("backbone", name, backbone_names())
    options: dict[str, object] = {"weights": None}
    if name.startswith("vit_"):
        options["image_size"] = image_side_pixels
    if name in ("googlenet", "inception_v3"):
        options |= {"aux_logits": False, "init_weights": True}
    try:
        network = models.get_model(name, **options)
    except (ValueError, AssertionError) as error:
        raise SettingsError(
            f"backbone '{name}' cannot take {image_side_pixels} px images: {error}"
        ) from error
    return _probed(without_classifier(name, network), name, image_side_pixels)


def without_classifier(name: str, network: nn.Module) -> nn.Module:
    """Return ``network`` with its classification layer, the last linear one, taken out."""
    if name.startswith("squeezenet"):
        return SqueezeNetFeatures(cast(nn.Module, network.features))
    linear = [path for path, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise SettingsError(f"backbone '{name}' has no classification layer to take out; choose another")
    replace_module(network, linear[-1], nn.Identity())
    for path, module in list(network.named_modules()):
        if isinstance(module, nn.Dropout) and path.split(".")[0] == linear[-1].split(".")[0]:
            # Dropout before the classifier would blur the features.
            replace_module(network, path, nn.Identity())
    return network


def _probed(network: nn.Module, name: str, side: int) -> tuple[nn.Module, int]:
    """Run one blank image through to learn F, and to find out early that the size is impossible."""
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            features = network(torch.zeros(1, 3, side, side))
    except (RuntimeError, ValueError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise SettingsError(f"backbone '{name}' cannot take {side} px images: {reason}") from error
    network.train(was_training)
    return network, int(features.flatten(1).shape[1])
