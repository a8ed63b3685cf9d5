"""What Avalanche and its plugins see of an embedder and of images."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from continual_dml.embedding.embedder import Embedder
from continual_dml.embedding.extract import BATCH_IMAGES, extract, feature_map
from continual_dml.embedding.precision import Compute
from continual_dml.embedding.preprocessing import centre_crop, normalised
from continual_dml.memory.discriminant_head import unit_rows
from continual_dml.records import LabelledImages
from continual_dml.strategies.state import Head


class UnitEmbeddings(nn.Module):
    """An embedder as a model of one output: images (B, 3, S, S) to unit embeddings (B, D)."""

    def __init__(self, embedder: Embedder) -> None:
        super().__init__()
        self.embedder = embedder

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the trained projection's unit embeddings."""
        embedded: torch.Tensor = self.embedder(images).embeddings
        return embedded


class NetworkViews:
    """Batches ``[images (B, 3, side, side), labels (B,), task labels (B,)]`` of centre crops, in order."""

    def __init__(self, images: LabelledImages, side: int, device: torch.device) -> None:
        self._images = images
        self._side = side
        self._device = device

    def __len__(self) -> int:
        return math.ceil(len(self._images) / BATCH_IMAGES)

    def __iter__(self) -> Iterator[list[torch.Tensor]]:
        for start in range(0, len(self._images), BATCH_IMAGES):
            rows = slice(start, start + BATCH_IMAGES)
            labels = torch.from_numpy(self._images.labels[rows])
            view = centre_crop(self._images.pixels[rows], self._side)
            yield [normalised(view, self._device), labels, torch.zeros_like(labels)]


def batch_vectors(
    embedder: Embedder, head: Head | None, view: torch.Tensor, compute: Compute
) -> torch.Tensor:
    """Return unit vectors (B, D) of a batch (B, 3, side, side); by the projection if ``head`` is None."""
    with compute.autocast():
        seen = embedder(view)
    if head is None:
        embeddings: torch.Tensor = seen.embeddings
        return embeddings
    features = feature_map(seen.features.cpu().numpy(), embedder.settings.takes_square_root)
    return torch.from_numpy(head(features)).to(compute.device)


def image_vectors(
    embedder: Embedder, head: Head | None, images: LabelledImages, compute: Compute
) -> NDArray[np.float32]:
    """Return unit vectors (N, D) of all images, as :func:`batch_vectors` would."""
    seen = extract(embedder, images.pixels, compute)
    return unit_rows(seen.outputs) if head is None else head(seen.features)
