"""Experience replay: a few images of every past category are trained on again.

This breaks the rule that no image of a past task is kept. It is a reference to compare with, never a method
of a workspace.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from continual_dml.embedding.precision import Compute
from continual_dml.embedding.torchvision_guard import import_torchvision
from continual_dml.ports import ProgressListener
from continual_dml.records import Experience, LabelledImages
from continual_dml.settings import Settings
from continual_dml.strategies.learner import LearnedTask
from continual_dml.strategies.stream_learners import SequentialLearner

import_torchvision()  # Avalanche imports torchvision, which may need the guard
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="no QP solver found")  # of a strategy that is not used here
    from avalanche.benchmarks.utils import AvalancheDataset, TaskLabels, as_classification_dataset
    from avalanche.training.storage_policy import ClassBalancedBuffer

IMAGES_PER_CATEGORY = 10


class Exemplars:
    """A few images of each category, chosen by Avalanche's class-balanced reservoir sampling.

    Every image of a category is equally likely to be kept, however many tasks it comes in.

    Args:
        per_category: how many images of each category are kept.
        seed: of the choice; the global random state is left untouched.
    """

    def __init__(self, per_category: int, seed: int) -> None:
        self._per_category = per_category
        self._random = np.random.default_rng(seed)
        self._buffer = ClassBalancedBuffer(max_size=0)

    def add(self, images: LabelledImages) -> None:
        """Choose among ``images`` and what is kept already."""
        categories = self._buffer.seen_classes | {int(label) for label in images.labels}
        self._buffer.max_size = self._per_category * len(categories)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(self._random.integers(2**63)))
            self._buffer.update_from_dataset(squares_dataset(images))
        for group in self._buffer.buffer_groups.values():
            group.buffer = squares_dataset(_squares_of(group.buffer))  # a copy, so that the others can go

    def images(self) -> LabelledImages | None:
        """Return all images that are kept, or None before the first are added."""
        groups = self._buffer.buffer_groups
        if not groups:
            return None
        kept = [_squares_of(groups[category].buffer) for category in sorted(groups)]
        return LabelledImages(
            np.concatenate([part.pixels for part in kept]), np.concatenate([part.labels for part in kept])
        )


class ReplayLearner:
    """Learns each task with the images kept of earlier ones drawn into its batches.

    Batches are class-balanced over old and new categories alike. Class statistics are measured on the new
    images alone, and those of earlier categories are moved by the drift map as for every other method: an
    image is never counted twice.

    Args:
        settings: of the model and the training.
        pretrained: backbone weights, or None for random ones.
        compute: device and precision.
        listener: told of the progress.
        first_steps: optimisation steps of the first task; None for those of the later ones. Where the
            settings leave the number open, kept images count like new ones.
        per_category: how many images of each category are kept.
    """

    def __init__(
        self,
        settings: Settings,
        pretrained: Mapping[str, NDArray[Any]] | None,
        compute: Compute,
        listener: ProgressListener,
        first_steps: int | None = None,
        per_category: int = IMAGES_PER_CATEGORY,
    ) -> None:
        self._learner = SequentialLearner(settings, first_steps, pretrained, compute, listener)
        self._exemplars = Exemplars(per_category, settings.training.seed)

    @property
    def extra_bytes(self) -> int:
        """Bytes of the kept images and their labels."""
        kept = self._exemplars.images()
        return 0 if kept is None else kept.pixels[:].nbytes + kept.labels.nbytes

    def learn(self, position: int, experience: Experience) -> LearnedTask:
        """Learn a task's training images together with those kept of earlier tasks; then keep some of them.

        Raises:
            NotFiniteLoss: training diverged; nothing is kept of the task.
        """
        learned = self._learner.learn(position, experience, rehearsal=self._exemplars.images())
        self._exemplars.add(experience.train)
        return learned


def squares_dataset(images: LabelledImages) -> AvalancheDataset:
    """Return Avalanche's view of ``images``: items ``(square (S, S, 3) uint8, label, task label 0)``."""
    dataset = as_classification_dataset(_Squares(images))
    return dataset.update_data_attribute("targets_task_labels", TaskLabels([0] * len(images)))


def _squares_of(dataset: AvalancheDataset) -> LabelledImages:
    """Return a copy of the images that :func:`squares_dataset` shows; at least one."""
    items = [dataset[row] for row in range(len(dataset))]
    pixels = np.stack([square.numpy() for square, *_ in items])
    return LabelledImages(pixels, np.array([label for _, label, *_ in items], dtype=np.int64))


class _Squares(Dataset[tuple[torch.Tensor, int]]):
    """Stored squares with labels; ``targets`` is where Avalanche looks for them."""

    def __init__(self, images: LabelledImages) -> None:
        self._pixels = images.pixels
        self.targets = [int(label) for label in images.labels]

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(np.array(self._pixels[row : row + 1][0])), self.targets[row]
