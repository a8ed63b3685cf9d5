"""The figure that papers report: Recall@1 of unseen categories at the epoch that the test likes best."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from continual_dml.embedding.extract import extract
from continual_dml.embedding.precision import Compute
from continual_dml.memory.discriminant_head import unit_rows
from continual_dml.records import LabelledImages
from continual_dml.strategies.hooks import StepHooks
from continual_dml.strategies.job import TrainingJob
from continual_dml.workflows.readouts import Vectors, search_unseen


class BestEpoch(StepHooks):
    """Measures the trained head on ``images`` after each pass over the task; nothing of it reaches training.

    The maximum over epochs of a test score is optimistic: it is chosen with the test's own labels. It exists
    to stand beside published numbers that were chosen in that way, and is marked so wherever it is shown.

    Args:
        images: of categories that no task trains on.
        compute: device and precision.
        asks: (N,) which of them are searched among the rest; None searches each among all the others.
    """

    def __init__(
        self, images: LabelledImages, compute: Compute, asks: NDArray[np.bool_] | None = None
    ) -> None:
        self._images = images
        self._asks = asks
        self._compute = compute
        self._job: TrainingJob | None = None
        self._steps = 0
        self.recalls: list[float] = []
        """Recall@1 after each pass."""

    @property
    def best(self) -> float | None:
        """The highest of :attr:`recalls`, or None where no pass was finished."""
        return max(self.recalls, default=None)

    def before_training(self, job: TrainingJob, optimiser: torch.optim.Optimizer, loss: nn.Module) -> None:
        """Remember what is trained; passes are counted from here."""
        self._job, self._steps = job, 0

    def after_update(self) -> bool:
        """Measure where a pass ends; never stop the task."""
        self._steps += 1
        if self._job is not None and self._steps % self._job.pass_steps() == 0:
            outputs = extract(self._job.model, self._images.pixels, self._compute).outputs
            found = search_unseen(Vectors(unit_rows(outputs), self._images.labels), self._asks, (1,))
            self.recalls.append(float(np.nan) if found is None else found.recall[1])
        return True
