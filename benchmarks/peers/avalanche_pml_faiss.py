"""Learn tasks of photos one after the other with Avalanche, pytorch-metric-learning and FAISS.

What a competent user would write without cdml: Avalanche's ``Naive`` strategy trains a MobileNetV2 with the
multi-similarity loss on class-balanced, augmented batches of the new photos. After each task all photos so
far are embedded with the new model, a FAISS index of them is written beside the weights, and Recall@1 of the
test photos of all tasks so far is measured against all train photos.

    python -m benchmarks.peers.avalanche_pml_faiss WEIGHTS TASK TASK ... [--fast]

``--fast`` adds what the documentation of PyTorch recommends for a CPU: channels last and bfloat16. A task is
a folder with ``train/CATEGORY/*`` and ``test/CATEGORY/*``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader

from benchmarks.peer_photos import WORKERS, usual_training_transform, usual_transform

# A torchvision for CUDA cannot be imported beside a torch for CPUs: this repairs that and nothing else.
from continual_dml.embedding.torchvision_guard import import_torchvision

torchvision = import_torchvision()
from pytorch_metric_learning import losses, miners, samplers  # isort: skip # noqa: E402
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator  # isort: skip # noqa: E402

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from avalanche.benchmarks import benchmark_from_datasets, with_classes_timeline, with_task_labels
    from avalanche.benchmarks.utils import TaskLabels, as_classification_dataset
    from avalanche.core import SupervisedPlugin
    from avalanche.logging import BaseLogger
    from avalanche.training.plugins import EvaluationPlugin
    from avalanche.training.supervised import Naive

DIMENSION, PER_CATEGORY, BATCH = 128, 4, 60
BACKBONE_RATE, HEAD_RATE, DECAY = 1e-4, 1e-3, 1e-4


@dataclass(frozen=True)
class Recipe:
    """How the stream is learned: side of the images, steps of the first and of later tasks, and the seed."""

    side: int = 128
    first_steps: int = 200
    later_steps: int = 80
    seed: int = 0
    fast: bool = False


class EmbeddingNetwork(nn.Module):
    """MobileNetV2 with a linear projection to unit vectors; the batch norm of the weights stays as it is."""

    def __init__(self, weights: Path, *, fast: bool) -> None:
        super().__init__()
        self.trunk = torchvision.models.mobilenet_v2(weights=None)
        self.trunk.load_state_dict({name: value.float() for name, value in load_file(weights).items()})
        self.trunk.classifier = nn.Identity()
        self.projection = nn.Linear(1280, DIMENSION, bias=False)
        self._fast = fast
        if fast:
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return unit vectors (B, D)."""
        if self._fast:
            images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=self._fast):
            features = self.trunk(images)
        return functional.normalize(self.projection(features.float()))

    def train(self, mode: bool = True) -> EmbeddingNetwork:
        """Keep batch norm in evaluation mode."""
        super().train(mode)
        for module in self.trunk.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self


class BalancedBatches(SupervisedPlugin):  # type: ignore[misc]
    """Batches of a few photos of each of several categories, and an optimiser of each task's own."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self._recipe = recipe

    def before_training_exp(self, strategy: Any, **kwargs: object) -> None:  # noqa: ANN401
        """Replace the loader and the optimiser."""
        recipe, dataset = self._recipe, strategy.experience.dataset.train()
        steps = recipe.later_steps if strategy.experience.current_experience else recipe.first_steps
        labels = list(dataset.targets)
        per_batch = min(BATCH, len(set(labels)) * PER_CATEGORY)
        sampler = samplers.MPerClassSampler(
            labels, PER_CATEGORY, batch_size=per_batch, length_before_new_iter=steps * per_batch
        )
        strategy.dataloader = DataLoader(dataset, per_batch, sampler=sampler, num_workers=WORKERS)
        model = strategy.model
        groups = [
            {"params": model.trunk.parameters(), "lr": BACKBONE_RATE},
            {"params": model.projection.parameters(), "lr": HEAD_RATE},
        ]
        strategy.optimizer = torch.optim.AdamW(groups, weight_decay=DECAY)


class MinedLoss(nn.Module):
    """The multi-similarity loss of the pairs that its miner finds."""

    def __init__(self) -> None:
        super().__init__()
        self._miner, self._loss = miners.MultiSimilarityMiner(), losses.MultiSimilarityLoss(2, 40, 0.5)

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the loss of a batch (B, D)."""
        found: torch.Tensor = self._loss(embeddings, labels, self._miner(embeddings, labels))
        return found


def learn(weights: Path, tasks: Sequence[Path], output: Path, recipe: Recipe) -> np.ndarray:
    """Learn ``tasks`` in order; return Recall@1 (T, T) in the merged gallery, NaN above the diagonal."""
    torch.manual_seed(recipe.seed)
    np.random.seed(recipe.seed)
    benchmark = _benchmark(tasks, recipe.side)
    model = EmbeddingNetwork(weights, fast=recipe.fast)
    strategy = Naive(
        model=model,
        optimizer=torch.optim.AdamW(model.parameters()),  # replaced by the plugin
        criterion=MinedLoss(),
        train_epochs=1,
        plugins=[BalancedBatches(recipe)],
        evaluator=EvaluationPlugin(loggers=[BaseLogger()]),
    )
    matrix = np.full((len(tasks), len(tasks)), np.nan)
    for task, experience in enumerate(benchmark.train_stream):
        strategy.train(experience)
        gallery = [embed(model, part.dataset) for part in benchmark.train_stream[: task + 1]]
        vectors, labels = (np.concatenate(part) for part in zip(*gallery, strict=True))
        index = faiss.IndexFlatIP(DIMENSION)
        index.add(vectors)
        faiss.write_index(index, str(output / f"gallery-{task}.faiss"))
        weights_now = {name: value.contiguous() for name, value in model.state_dict().items()}
        save_file(weights_now, output / f"model-{task}.safetensors")
        for column, part in enumerate(benchmark.test_stream[: task + 1]):
            matrix[task, column] = recall_at_1(*embed(model, part.dataset), vectors, labels)
    return matrix


def embed(model: nn.Module, dataset: Any) -> tuple[np.ndarray, np.ndarray]:  # noqa: ANN401
    """Return unit vectors (N, D) and labels (N,) of all photos of a dataset."""
    model.eval()
    loader = DataLoader(dataset.eval(), batch_size=64, num_workers=WORKERS)
    with torch.inference_mode():
        parts = [(model(images).numpy(), labels.numpy()) for images, labels, _ in loader]
    vectors, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
    return vectors, labels


def recall_at_1(asked: np.ndarray, wanted: np.ndarray, vectors: np.ndarray, labels: np.ndarray) -> float:
    """Return how often the nearest photo is of the same category."""
    calculator = AccuracyCalculator(include=("precision_at_1",), k=1)
    found = calculator.get_accuracy(asked, wanted, vectors, labels, ref_includes_query=False)
    return float(found["precision_at_1"])


def _benchmark(tasks: Sequence[Path], side: int) -> Any:  # noqa: ANN401
    stored = round(side * 1.125)
    training, evaluation = usual_training_transform(stored, side), usual_transform(stored, side)
    views = {"train": (training, None), "eval": (evaluation, None)}
    first, streams = 0, {"train": [], "test": []}  # type: ignore[var-annotated]
    for task in tasks:
        for half, stream in streams.items():
            photos = torchvision.datasets.ImageFolder(task / half)
            # Every folder counts its categories from 0.
            photos.target_transform = first.__add__
            photos.targets = [first + target for target in photos.targets]
            dataset = as_classification_dataset(photos, transform_groups=views)
            stream.append(dataset.update_data_attribute("targets_task_labels", TaskLabels([0] * len(photos))))
        first += len(photos.classes)
    return with_task_labels(with_classes_timeline(benchmark_from_datasets(**streams)))


def main() -> None:
    """Learn the named tasks and print the matrix."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path)
    parser.add_argument("tasks", type=Path, nargs="+")
    parser.add_argument("--first-steps", type=int, default=200)
    parser.add_argument("--later-steps", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fast", action="store_true")
    options = parser.parse_args()
    steps = (options.first_steps, options.later_steps)
    recipe = Recipe(128, *steps, options.seed, options.fast)
    with tempfile.TemporaryDirectory() as output:
        matrix = learn(options.weights, options.tasks, Path(output), recipe)
    print(json.dumps({"recall_at_1": matrix.tolist(), "mean": float(matrix[-1].mean())}))


if __name__ == "__main__":
    main()
