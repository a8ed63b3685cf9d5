"""The moments of our training loop, told to Avalanche plugins as their callbacks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from continual_dml.strategies.hooks import StepHooks
from continual_dml.strategies.job import TrainingJob
from continual_dml.strategies.sampling import default_steps

if TYPE_CHECKING:
    from continual_dml.strategies.avalanche_strategy import EmbeddingStrategy


class PluginCalls(StepHooks):
    """Calls a strategy's plugins, in Avalanche's order, while one experience is learned.

    An epoch is as many steps as it takes to see as many images as the experience has; the last one may be
    shorter.

    Args:
        strategy: whose plugins are called, and whose attributes are kept up to date for them.
        options: keyword arguments of ``train``, which Avalanche hands on to every callback.
    """

    def __init__(self, strategy: EmbeddingStrategy, options: dict[str, Any]) -> None:
        self.began = False
        self._strategy = strategy
        self._options = options
        self._steps_left = 0
        self._epoch_steps = 1
        self._epoch_done = 0

    def before_training(self, job: TrainingJob, optimiser: torch.optim.Optimizer, loss: nn.Module) -> None:
        """Show the plugins the model and the optimiser of this experience."""
        self.began = True
        self._steps_left = job.steps()
        categories = min(job.settings.batch_categories, len(np.unique(job.images.labels)))
        batch_images = categories * job.settings.images_per_category
        self._epoch_steps = min(self._steps_left, default_steps(len(job.images), batch_images, epochs=1.0))
        strategy = self._strategy
        strategy.train_mb_size = batch_images
        strategy.train_epochs = math.ceil(self._steps_left / self._epoch_steps)
        strategy.begin(job.model, optimiser, loss, self._epoch_steps, self._options)

    def before_forward(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        """Open an epoch where one is due, then the iteration."""
        strategy = self._strategy
        if self._epoch_done == 0:
            strategy._before_training_epoch(**self._options)
        strategy.mbatch = [images, labels, torch.zeros_like(labels)]
        strategy._before_training_iteration(**self._options)
        strategy.loss = strategy._make_empty_loss()
        strategy._before_forward(**self._options)

    def after_forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return what plugins left as the model's output."""
        strategy = self._strategy
        strategy.mb_output = embeddings
        strategy._after_forward(**self._options)
        output: torch.Tensor = strategy.mb_output
        return output

    def before_backward(self, loss: torch.Tensor) -> torch.Tensor:
        """Return the loss that plugins left; for them it has shape (1,), as in Avalanche."""
        strategy = self._strategy
        strategy.loss = strategy.loss + loss
        strategy._before_backward(**self._options)
        changed: torch.Tensor = strategy.loss.sum()
        return changed

    def before_update(self) -> None:
        """Gradients are there: the end of the backward pass and the start of the update."""
        self._strategy._after_backward(**self._options)
        self._strategy._before_update(**self._options)

    def after_update(self) -> bool:
        """Close the iteration, and the epoch at its last one; go on unless a plugin asked to stop."""
        strategy = self._strategy
        strategy._after_update(**self._options)
        strategy._after_training_iteration(**self._options)
        self._steps_left -= 1
        self._epoch_done += 1
        if self._epoch_done == self._epoch_steps or self._steps_left == 0 or strategy.stop_requested:
            self._epoch_done = 0
            strategy._after_training_epoch(**self._options)
        return not strategy.stop_requested
