"""The embedder: a backbone, its pooled features, and the projection that training shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from continual_dml.embedding.backbones import build_backbone
from continual_dml.embedding.batch_norm import fold_batch_norm, freeze_batch_norm
from continual_dml.embedding.processor_layers import use_processor_layers
from continual_dml.embedding.stages import Halves, halves_of
from continual_dml.embedding.weights import load_backbone_weights
from continual_dml.errors import GalleryError
from continual_dml.settings import ModelSettings


class Embedded(NamedTuple):
    """What the embedder makes of a batch.

    ``features`` (B, F) pooled backbone features; ``outputs`` (B, D) the projection's raw output;
    ``embeddings`` (B, D) the outputs at unit length. All float32.
    """

    features: torch.Tensor
    outputs: torch.Tensor
    embeddings: torch.Tensor

    @property
    def norms(self) -> torch.Tensor:
        """Lengths (B,) of the raw outputs."""
        lengths: torch.Tensor = self.outputs.norm(dim=1)
        return lengths


class Embedder(nn.Module):
    """Backbone plus linear projection; images (B, 3, S, S) to :class:`Embedded`.

    ``halves``: of the backbone where its trunk is frozen, else None; they hold no weights of their own.
    """

    def __init__(self, backbone: nn.Module, feature_dim: int, settings: ModelSettings) -> None:
        super().__init__()
        self.backbone = backbone
        self.projection = nn.Linear(feature_dim, settings.embedding_dim, bias=False)
        self.feature_dim = feature_dim
        self.settings = settings
        self._halves: tuple[Halves, ...] = ()  # in a tuple, so that no weight has a second name

    @property
    def halves(self) -> Halves | None:
        """The backbone's halves where :meth:`freeze_trunk` found any."""
        return self._halves[0] if self._halves else None

    def freeze_trunk(self, upper_stages: int) -> None:
        """Train no more than the last ``upper_stages`` stages and the projection from now on.

        From then on :meth:`forward` takes what the trunk makes of images in their place. The network has to
        be on its device already.

        Raises:
            SettingsError: the backbone has fewer stages, or none that can be told apart.
        """
        settings = self.settings
        halves = halves_of(self.backbone, settings.backbone, settings.image_side_pixels, upper_stages)
        if halves is None:
            return
        self._halves = (halves,)
        halves.trunk.requires_grad_(False)
        self.train(self.training)

    def forward(self, images: torch.Tensor) -> Embedded:
        """Return features, raw outputs and unit embeddings of ``images`` (B, 3, S, S).

        Where the trunk is frozen, these may be what it made of them.
        """
        halves = self.halves
        seen = halves is not None and tuple(images.shape[1:]) == halves.shape
        network = halves.upper if halves is not None and seen else self.backbone
        features = network(images).flatten(1).float()
        with torch.autocast(features.device.type, enabled=False):
            outputs = self.projection(features)
        return Embedded(features, outputs, functional.normalize(outputs, dim=1))

    def train(self, mode: bool = True) -> Embedder:
        """Switch the training mode; frozen batch norm and a frozen trunk stay in evaluation mode."""
        super().train(mode)
        if self.settings.batch_norm_is_frozen:
            for module in self.backbone.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        if self.halves is not None:
            self.halves.trunk.eval()
        return self


def build_embedder(
    settings: ModelSettings, pretrained: Mapping[str, NDArray[Any]] | None, seed: int
) -> Embedder:
    """Return a new embedder, its projection (and a backbone without pretrained weights) drawn from ``seed``.

    Args:
        settings: the network.
        pretrained: backbone weights by torchvision's names, or None for random ones.
        seed: of the random initialisation; the global random state is left untouched.

    Raises:
        SettingsError: an impossible backbone or image size, or weights that do not fit.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone, feature_dim = build_backbone(settings.backbone, settings.image_side_pixels)
        if pretrained is not None:
            load_backbone_weights(backbone, pretrained, settings.backbone)
        if settings.batch_norm_is_frozen:
            fold_batch_norm(backbone)
            freeze_batch_norm(backbone)
        use_processor_layers(backbone)
        embedder = Embedder(backbone, feature_dim, settings)
    return embedder.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def embedder_state(embedder: Embedder) -> dict[str, NDArray[Any]]:
    """Return a copy of all weights as arrays by name."""
    return {name: value.detach().cpu().numpy().copy() for name, value in embedder.state_dict().items()}


def restore_embedder(settings: ModelSettings, weights: Mapping[str, NDArray[Any]]) -> Embedder:
    """Return the embedder that :func:`embedder_state` was taken from.

    Raises:
        GalleryError: the weights belong to another network.
    """
    embedder = build_embedder(settings, None, seed=0)
    try:
        embedder.load_state_dict({name: torch.from_numpy(np.array(v)) for name, v in weights.items()})
    except RuntimeError as error:
        raise GalleryError(
            f"the stored model does not fit backbone '{settings.backbone}': {str(error).splitlines()[0]}; "
            "was cdml.toml edited after `cdml init`?"
        ) from error
    return embedder
