"""Your own network and training loop, with cdml's loss, miner, distillation, class statistics and metrics.

No workspace: arrays and tensors go in, numbers come out. Two alphabets are learned one after the other, the
second without a look at an image of the first.
"""

import copy
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from torch.nn import functional

from cdml.distillation import relation_loss
from cdml.losses import TripletLoss
from cdml.memory import (
    ClassStatistics,
    DiscriminantHead,
    centred_on_classes,
    fit_discriminant_head,
    fit_drift,
    measure_classes,
)
from cdml.metrics import RecallMatrix, retrieval_metrics
from cdml.miners import balanced_batches, semi_hard
from streams.glyphs import render_task

Labels = NDArray[np.int64]
Vectors = NDArray[np.float32]


class Network(nn.Module):
    """Any network will do: images (B, 1, 32, 32) to features (B, 144) and outputs (B, 32)."""

    def __init__(self) -> None:
        super().__init__()
        widths = [1, 16, 16, 16]
        blocks = [
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2))
            for a, b in pairwise(widths)
        ]
        self.backbone = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(3), nn.Flatten())
        self.projection = nn.Linear(144, 32, bias=False)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return features and outputs."""
        features = self.backbone(images)
        return features, self.projection(features)


def read(folder: Path, first_label: int) -> tuple[torch.Tensor, Labels]:
    """Return the images (N, 1, 32, 32) of ``folder/<category>/*`` and their labels (N,)."""
    images, labels = [], []
    for label, category in enumerate(sorted(folder.iterdir()), first_label):
        for path in sorted(category.iterdir()):
            images.append(np.array(Image.open(path).convert("L"), dtype=np.float32) / 255)
            labels.append(label)
    return torch.from_numpy(np.stack(images))[:, None], np.array(labels, dtype=np.int64)


def train(network: Network, images: torch.Tensor, labels: Labels, previous: Network | None) -> None:
    """Train on one task; with a ``previous`` network, hold on to the similarities that it sees."""
    network.train()
    loss = TripletLoss(semi_hard, margin=0.1)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    random = np.random.default_rng(0)
    for rows in balanced_batches(labels, 80, categories_per_batch=8, images_per_category=4, random=random):
        embeddings = functional.normalize(network(images[rows])[1])
        value = loss(embeddings, torch.from_numpy(labels[rows]))
        if previous is not None:
            with torch.no_grad():
                earlier = functional.normalize(previous(images[rows])[1])
            value = value + 3.0 * relation_loss(embeddings, earlier)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()


@torch.no_grad()
def looked_at(network: Network, images: torch.Tensor) -> tuple[Vectors, Vectors]:
    """Return features and outputs as arrays."""
    features, outputs = network.eval()(images)
    return features.numpy(), outputs.numpy()


def carried(
    known: ClassStatistics, network: Network, previous: Network, images: torch.Tensor, labels: Labels
) -> ClassStatistics:
    """Return statistics of earlier classes as the new network would see them, from the new images alone."""
    before, outputs_before = looked_at(previous, images)
    after, outputs_after = looked_at(network, images)
    means = fit_drift(before, after, strength=None)
    within = fit_drift(centred_on_classes(before, labels), centred_on_classes(after, labels), strength=None)
    outputs = fit_drift(outputs_before, outputs_after, strength=None)
    return known.moved(means.map, within, outputs.map)


def main(folder: Path) -> None:
    """Learn two alphabets; measure after each, with the projection and with a head made of statistics."""
    torch.manual_seed(0)
    network, previous = Network(), None
    known: ClassStatistics | None = None
    asked: list[tuple[torch.Tensor, Labels]] = []
    searched: list[tuple[torch.Tensor, Labels]] = []
    rows: dict[str, list[list[float]]] = {"trained projection": [], "head from statistics": []}
    for task, alphabet in enumerate(("latin", "greek")):
        render_task(alphabet, folder / alphabet, categories=12, samples_per_category=12, side_pixels=32)
        images, labels = read(folder / alphabet, first_label=100 * task)
        held_out = np.arange(len(labels)) % 4 == 0
        asked.append((images[held_out], labels[held_out]))
        searched.append((images[~held_out], labels[~held_out]))
        new_images, new_labels = searched[-1]

        train(network, new_images, new_labels, previous)

        features, outputs = looked_at(network, new_images)
        measured = measure_classes(features, outputs, new_labels, task)
        if known is not None and previous is not None:
            measured = carried(known, network, previous, new_images, new_labels).merged(measured)
        known = measured
        head = fit_discriminant_head(known, shrinkage=0.5, embedding_dim=32)
        for name, own in (("trained projection", None), ("head from statistics", head)):
            rows[name].append(recalls(network, own, asked, searched))
        previous = copy.deepcopy(network).eval()
    for name, found in rows.items():
        matrix = RecallMatrix(found)
        print(f"{name}: Recall@1 {matrix.average():.2f}, forgotten {matrix.forgetting():.2f}")
        for task, row in enumerate(found, 1):
            print(f"  after task {task}: " + "  ".join(f"{value:.2f}" for value in row))


def recalls(
    network: Network,
    head: DiscriminantHead | None,
    asked: list[tuple[torch.Tensor, Labels]],
    searched: list[tuple[torch.Tensor, Labels]],
) -> list[float]:
    """Return Recall@1 of each task's queries among the images of all tasks, embedded anew for measuring."""

    def vectors(images: torch.Tensor) -> Vectors:
        features, outputs = looked_at(network, images)
        return outputs / np.linalg.norm(outputs, axis=1, keepdims=True) if head is None else head(features)

    gallery = np.concatenate([vectors(images) for images, _ in searched])
    labels = np.concatenate([own for _, own in searched])
    return [
        retrieval_metrics(vectors(images), own, gallery, labels, ks=(1,)).recall[1] for images, own in asked
    ]


if __name__ == "__main__":
    with TemporaryDirectory() as directory:
        main(Path(directory))
