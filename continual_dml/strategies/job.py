"""One task's training: what is to be trained on what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from continual_dml.embedding.embedder import Embedder
from continual_dml.records import LabelledImages
from continual_dml.settings import TrainingSettings
from continual_dml.strategies.kept_views import KeptViews
from continual_dml.strategies.members import Member
from continual_dml.strategies.recipes import Recipe
from continual_dml.strategies.sampling import default_steps


@dataclass(frozen=True, slots=True, eq=False)
class TrainingJob:
    """What is to be trained on what.

    ``kept``: what the networks look at in place of ``images`` where their trunks are frozen.
    """

    name: str
    members: tuple[Member, ...]
    images: LabelledImages
    recipe: Recipe
    settings: TrainingSettings
    seed: int
    kept: KeptViews | None = None

    @property
    def model(self) -> Embedder:
        """The first member's network."""
        return self.members[0].model

    def batch_images(self) -> int:
        """Number of images in a batch."""
        classes = min(self.settings.batch_categories, len(np.unique(self.images.labels)))
        return classes * self.settings.images_per_category

    def steps(self) -> int:
        """Number of optimisation steps."""
        if self.settings.steps is not None:
            return self.settings.steps
        return default_steps(len(self.images), self.batch_images(), self.settings.epochs)

    def pass_steps(self) -> int:
        """Number of steps that see as many images as the task has."""
        return default_steps(len(self.images), self.batch_images(), epochs=1.0)

    def is_due(self, member: int, step: int) -> bool:
        """Return whether ``member`` is updated in ``step`` (both from 0)."""
        return (step + 1) % (1 + member * self.settings.cohort.update_gap) == 0
