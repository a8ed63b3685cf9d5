"""What Avalanche and its plugins see of an embedder and of images."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import Dataset

from continual_dml.embedding.embedder import Embedder
from continual_dml.embedding.extract import BATCH_IMAGES, extract, feature_map
from continual_dml.embedding.precision import Compute
from continual_dml.embedding.preprocessing import centre_crop, normalised
from continual_dml.memory.discriminant_head import unit_rows
from continual_dml.records import LabelledImages
from continual_dml.settings import TrainingSettings
from continual_dml.strategies.heads import Head
from continual_dml.strategies.sampling import balanced_batches, default_steps

FEWEST_BATCHES = 20  # a mean over fewer is mostly noise


class UnitEmbeddings(nn.Module):
    """An embedder as a model of one output: images (B, 3, S, S) to unit embeddings (B, D)."""

    def __init__(self, embedder: Embedder) -> None:
        super().__init__()
        self.embedder = embedder

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the trained projection's unit embeddings."""
        embedded: torch.Tensor = self.embedder(images).embeddings
        return embedded


class RawOutputs(nn.Module):
    """The same embedder by its raw outputs (B, D); parameters have the names of :class:`UnitEmbeddings`.

    It always computes as it does when it answers queries: batch norm neither uses nor changes a batch's
    statistics, so that looking at a trained model leaves it as it is.
    """

    def __init__(self, embedder: Embedder) -> None:
        super().__init__()
        self.embedder = embedder
        self.train()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the projection's outputs before they are scaled to unit length."""
        outputs: torch.Tensor = self.embedder(images).outputs
        return outputs

    def train(self, mode: bool = True) -> RawOutputs:
        """Stay in evaluation mode, whatever is asked."""
        return super().train(False)


class DealtViews(Dataset[tuple[torch.Tensor, int, int]]):
    """Items ``(image (3, side, side), label, task label)``: centre crops, dealt as class-balanced batches.

    Read in order, every ``batch_images`` items hold a few images of each of several categories, as in
    training. There are as many batches as it takes to see as many images as there are, but at least
    ``FEWEST_BATCHES``; an image may come more than once.
    """

    def __init__(self, images: LabelledImages, side: int, training: TrainingSettings, task: int) -> None:
        """Deal ``images`` for position ``task`` of the stream, which with the seed decides the order."""
        categories = min(training.batch_categories, len(np.unique(images.labels)))
        self.batch_images = categories * training.images_per_category
        batches = max(FEWEST_BATCHES, default_steps(len(images), self.batch_images, epochs=1.0))
        dealt = balanced_batches(
            images.labels,
            batches,
            training.batch_categories,
            training.images_per_category,
            np.random.default_rng([training.seed, task]),
        )
        self._rows = np.concatenate(list(dealt))
        self._images = images
        self._side = side

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, position: int) -> tuple[torch.Tensor, int, int]:
        row = self._rows[position : position + 1]
        view = centre_crop(self._images.pixels[row], self._side)
        return normalised(view, torch.device("cpu"))[0], int(self._images.labels[row[0]]), 0


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


def gallery_vectors(
    embedder: Embedder, head: Head | None, parts: Sequence[LabelledImages], compute: Compute
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return unit vectors (N, D) and labels (N,) of the images of all ``parts``; there may be none."""
    vectors = [np.empty((0, embedder.settings.embedding_dim), dtype=np.float32)]
    vectors += [image_vectors(embedder, head, images, compute) for images in parts]
    labels = [np.empty(0, dtype=np.int64), *(images.labels for images in parts)]
    return np.concatenate(vectors), np.concatenate(labels)
