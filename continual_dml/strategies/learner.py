"""Learn one task from its images alone and bring what is remembered up to date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.embedding.embedder import Embedder, build_embedder, embedder_state, restore_embedder
from continual_dml.embedding.extract import Extracted, extract
from continual_dml.embedding.precision import Compute
from continual_dml.memory.class_statistics import ClassStatistics, measure_classes
from continual_dml.memory.discriminant_head import fit_discriminant_head, unit_rows
from continual_dml.memory.drift import DriftMaps, fit_drift
from continual_dml.memory.virtual_features import virtual_embeddings
from continual_dml.ports import ProgressListener
from continual_dml.records import LabelledImages
from continual_dml.settings import Settings
from continual_dml.strategies.averaging import averaged
from continual_dml.strategies.recipes import Recipe, recipe_for
from continual_dml.strategies.sampling import can_be_compared
from continual_dml.strategies.state import LearnerState
from continual_dml.strategies.training import StepHooks, Teachers, TrainingJob, train


@dataclass(frozen=True, slots=True, eq=False)
class LearnedTask:
    """The learner after a task.

    ``features`` (N, F): stored features of the task's images; ``loss_terms``: last values of the terms;
    ``moved``: whether the weights changed, so that earlier features are no longer what the model would say.
    """

    state: LearnerState
    embedder: Embedder
    features: NDArray[np.float32]
    loss_terms: dict[str, float]
    moved: bool


@dataclass(frozen=True, slots=True, eq=False)
class Learner:
    """Learns tasks one by one; holds settings, never images.

    Args:
        settings: of the model and the training.
        pretrained: backbone weights that a specialist starts from, or None where there are none.
        compute: device and precision.
        listener: told of the progress.
    """

    settings: Settings
    pretrained: Mapping[str, NDArray[Any]] | None
    compute: Compute
    listener: ProgressListener

    def learn(
        self,
        name: str,
        images: LabelledImages,
        state: LearnerState | None,
        previous_generation: int,
        hooks: StepHooks | None = None,
    ) -> LearnedTask:
        """Learn ``images`` on top of ``state`` (None before the first task).

        Images among which there is nothing to compare are looked at without training.

        Args:
            name: of the task, for messages.
            images: of the new categories; the only images that are read.
            state: what was kept of earlier tasks.
            previous_generation: key of the drift map that this task adds.
            hooks: called around each optimisation step.

        Raises:
            NotFiniteLoss: training diverged.
        """
        if state is None:
            return self._learn_first(name, images, hooks)
        task = state.tasks_learned
        recipe = recipe_for(self.settings.training)
        embedder = restore_embedder(self.settings.model, state.weights).to(self.compute.device)
        self.listener.start("looking with the previous model", len(images))
        before = extract(embedder, images.pixels, self.compute, self.listener)
        terms: dict[str, float] = {}
        after = before
        weights = state.weights
        trainable = can_be_compared(images.labels.tolist())
        if not trainable:
            self.listener.note(f"'{name}' has no two categories to compare: added without training")
        moved = recipe.learns and trainable
        if moved:
            terms = self._train(name, embedder, images, recipe, _teachers(recipe, state, before), task, hooks)
            weights = embedder_state(embedder)
            if recipe.averaging:
                weights = averaged(state.weights, weights, task)
                embedder = restore_embedder(self.settings.model, weights).to(self.compute.device)
            after = self._extract(embedder, images)
        renewed = self._remember(state, before, after, weights, images, previous_generation)
        return LearnedTask(renewed, embedder, after.features, terms, moved)

    def _learn_first(self, name: str, images: LabelledImages, hooks: StepHooks | None) -> LearnedTask:
        embedder = build_embedder(self.settings.model, self.pretrained, self._seed(0))
        terms = self._train(name, embedder, images, Recipe(), Teachers(), 0, hooks)
        seen = self._extract(embedder, images)
        statistics = measure_classes(seen.features, seen.outputs, images.labels, task=0)
        state = self._state(1, embedder_state(embedder), statistics, DriftMaps({}))
        return LearnedTask(state, embedder, seen.features, terms, moved=True)

    def _train(
        self,
        name: str,
        embedder: Embedder,
        images: LabelledImages,
        recipe: Recipe,
        teachers: Teachers,
        task: int,
        hooks: StepHooks | None,
    ) -> dict[str, float]:
        specialist = self._specialist(embedder, task) if recipe.specialist else None
        job = TrainingJob(
            name, embedder, specialist, images, teachers, recipe, self.settings.training, self._seed(task)
        )
        self.listener.start(f"training on '{name}'", job.steps())
        return train(job, self.compute, self.listener, hooks)

    def _specialist(self, embedder: Embedder, task: int) -> Embedder:
        """Return f_new: from the pretrained weights, or a copy of the model where there are none."""
        if self.pretrained is None:
            return restore_embedder(self.settings.model, embedder_state(embedder))
        return build_embedder(self.settings.model, self.pretrained, self._seed(task) + 1)

    def _extract(self, embedder: Embedder, images: LabelledImages) -> Extracted:
        self.listener.start("extracting features", len(images))
        return extract(embedder, images.pixels, self.compute, self.listener)

    def _remember(
        self,
        state: LearnerState,
        before: Extracted,
        after: Extracted,
        weights: Mapping[str, NDArray[Any]],
        images: LabelledImages,
        previous_generation: int,
    ) -> LearnerState:
        training = self.settings.training
        drift = fit_drift(before.features, after.features, training.drift_strength)
        outputs = fit_drift(before.outputs, after.outputs, training.output_drift_strength)
        new = measure_classes(after.features, after.outputs, images.labels, state.tasks_learned)
        statistics = state.statistics.moved(drift, outputs.map).merged(new)
        maps = state.drift.advanced(drift.map, previous_generation)
        return self._state(state.tasks_learned + 1, weights, statistics, maps)

    def _state(
        self, tasks: int, weights: Mapping[str, NDArray[Any]], statistics: ClassStatistics, drift: DriftMaps
    ) -> LearnerState:
        shrinkage, dim = self.settings.training.head_shrinkage, self.settings.model.embedding_dim
        head = fit_discriminant_head(statistics, shrinkage, dim)
        return LearnerState(tasks, dict(weights), head, statistics, drift)

    def _seed(self, task: int) -> int:
        """Return a seed of the task's own, so that a task never depends on how long earlier ones took."""
        return int(np.random.SeedSequence([self.settings.training.seed, task]).generate_state(1)[0])


def _teachers(recipe: Recipe, state: LearnerState, before: Extracted) -> Teachers:
    if not recipe.needs_old_outputs:
        return Teachers()
    earlier = sorted({int(task) for task in state.statistics.tasks} - {state.tasks_learned - 1})
    virtual = tuple(virtual_embeddings(before.outputs, state.statistics, task) for task in earlier)
    return Teachers(unit_rows(before.outputs), virtual if recipe.virtual else ())
