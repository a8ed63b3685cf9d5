"""The seam through which plugins of other training frameworks take part in a step."""

from __future__ import annotations

import torch
from torch import nn

from continual_dml.strategies.job import TrainingJob


class StepHooks:
    """Called around every optimisation step; the seam for plugins of other training frameworks.

    Of a cohort it is the first member that hooks see. Every method does nothing here: a subclass overrides
    those it needs.
    """

    def before_training(self, job: TrainingJob, optimiser: torch.optim.Optimizer, loss: nn.Module) -> None:
        """The optimiser is made and no step is taken yet; ``loss`` is the metric loss of ``job.model``."""

    def before_forward(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        """A batch (B, 3, S, S) with labels (B,) is about to go through the model."""

    def after_forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return the embeddings (B, D) to compute the loss of, usually ``embeddings`` themselves."""
        return embeddings

    def before_backward(self, loss: torch.Tensor) -> torch.Tensor:
        """Return the scalar to minimise, usually ``loss`` itself, the sum of all terms."""
        return loss

    def before_update(self) -> None:
        """Gradients are there, weights are not changed yet."""

    def after_update(self) -> bool:
        """Weights are changed; return whether to go on with the task."""
        return True
