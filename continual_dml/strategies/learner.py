"""Learn one task from its images alone and bring what is remembered up to date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.embedding.cohort import build_member, restore_members
from continual_dml.embedding.distorted_views import DistortedRows
from continual_dml.embedding.embedder import Embedder, embedder_state, restore_embedder
from continual_dml.embedding.extract import Extracted, extract_each, side_by_side
from continual_dml.embedding.kept_chunks import extract_in_chunks
from continual_dml.embedding.precision import Compute
from continual_dml.memory.drift_strength import DriftChoice
from continual_dml.pixels import JoinedRows
from continual_dml.ports import Checkpoints, ProgressListener, Shards, TrainingLog
from continual_dml.records import LabelledImages
from continual_dml.settings import Settings
from continual_dml.strategies.averaging import averaged
from continual_dml.strategies.hooks import StepHooks
from continual_dml.strategies.job import TrainingJob
from continual_dml.strategies.members import Member
from continual_dml.strategies.recipes import Recipe, recipe_for
from continual_dml.strategies.remembering import (
    ViewFeatures,
    first_memory,
    next_memory,
    reduction_for,
    teachers_from,
    unmoved_memory,
)
from continual_dml.strategies.requirements import require_trainable
from continual_dml.strategies.sampling import can_be_compared
from continual_dml.strategies.state import Arrays, LearnerState
from continual_dml.strategies.training import train
from continual_dml.strategies.trunks import freeze_trunks, with_frozen_trunks


@dataclass(frozen=True, slots=True, eq=False)
class LearnedTask:
    """The learner after a task.

    ``embedders``: the network of each member; ``features`` (N, sum of F): stored features of the task's
    images; ``loss_terms``: last values of the terms; ``moved``: whether the weights changed, so that earlier
    features are no longer what the networks would say; ``seconds_saved``: what learning it took an earlier
    time, where it was not learned again; ``drift_choices``: how each member's drift map was chosen, empty
    where nothing moved; ``features_before`` (N, sum of F): the images as the networks saw them before, None
    where there were none.
    """

    state: LearnerState
    embedders: tuple[Embedder, ...]
    features: NDArray[np.float32]
    loss_terms: dict[str, float]
    moved: bool
    seconds_saved: float = 0.0
    drift_choices: tuple[DriftChoice, ...] = ()
    features_before: NDArray[np.float32] | None = None

    @property
    def embedder(self) -> Embedder:
        """The first member's network."""
        return self.embedders[0]


@dataclass(frozen=True, slots=True, eq=False)
class Learner:
    """Learns tasks one by one; holds settings, never images.

    Args:
        settings: of the model and the training.
        pretrained: backbone weights that a specialist starts from (see
            :func:`continual_dml.embedding.cohort.weights_of_member`), or None where there are none.
        compute: device and precision.
        listener: told of the progress.
        checkpoints: where an interrupted training goes on from; None where none does.
        shards: where what is embedded of the one task to learn is kept; None where nothing is.
        log: told the loss terms of each step; None where nobody wants to know.
        directory: where what frozen layers say of the images is kept while a task is learned, in a file
            without a name; None for the system's folder for temporary files.
    """

    settings: Settings
    pretrained: Mapping[str, NDArray[Any]] | None
    compute: Compute
    listener: ProgressListener
    checkpoints: Checkpoints | None = None
    shards: Shards | None = None
    log: TrainingLog | None = None
    directory: Path | None = None

    def learn(
        self,
        name: str,
        images: LabelledImages,
        state: LearnerState | None,
        generation: int,
        hooks: StepHooks | None = None,
        rehearsal: LabelledImages | None = None,
    ) -> LearnedTask:
        """Learn ``images`` on top of ``state`` (None before the first task).

        Images among which there is nothing to compare are looked at without training.

        Args:
            name: of the task, for messages.
            images: of the new categories; the only images that are read.
            state: what was kept of earlier tasks.
            generation: that this task will be; its drift leads there.
            hooks: called around each optimisation step.
            rehearsal: images of earlier categories that are trained on as well, but not measured again. Only
                reference methods that break the no-replay rule pass any.

        Raises:
            NotFiniteLoss: training diverged.
            SettingsError: the settings train in a way that the network does not allow.
        """
        require_trainable(self.settings, first_task=state is None)
        if state is None:
            return self._learn_first(name, images, hooks)
        recipe = recipe_for(self.settings.training)
        shown = images if rehearsal is None else _joined(images, rehearsal)
        old_weights = [member.weights for member in state.members]
        embedders = self._restored(old_weights)
        before = self._extract(embedders, shown, "looking with the previous model")
        own_before = [_first_rows(seen, len(images)) for seen in before]
        trainable = can_be_compared(shown.labels.tolist())
        if not trainable:
            self.listener.note(f"'{name}' has no two categories to compare: added without training")
        if not (recipe.learns and trainable):
            unmoved, joined = self._unmoved(state, own_before, images), side_by_side(own_before)
            return LearnedTask(unmoved, tuple(embedders), joined, {}, moved=False, features_before=joined)
        members = self._members(embedders, state, before, recipe)
        terms = self._train(name, members, shown, recipe, state.tasks_learned, hooks)
        weights = [embedder_state(embedder) for embedder in embedders]
        if recipe.averaging:
            pairs = zip(old_weights, weights, strict=True)
            smallest = self.settings.training.averaging_floor(pretrained=self.settings.model.pretrained)
            weights = [averaged(old, trained, state.tasks_learned, smallest) for old, trained in pairs]
            embedders = self._restored(weights)
        after = self._extract(embedders, images, "extracting features")
        views = self._views(old_weights, embedders, images, state.tasks_learned)
        renewed, choices = self._renewed(state, own_before, after, weights, images, generation, views)
        return LearnedTask(
            renewed,
            tuple(embedders),
            side_by_side(after),
            terms,
            moved=True,
            drift_choices=choices,
            features_before=side_by_side(own_before),
        )

    def _learn_first(self, name: str, images: LabelledImages, hooks: StepHooks | None) -> LearnedTask:
        model, seed = self.settings.model, self._seed(0)
        embedders = [build_member(model, self.pretrained, number, seed) for number in range(model.cohort)]
        members = tuple(Member(embedder) for embedder in embedders)
        terms = self._train(name, members, images, Recipe(), 0, hooks)
        seen = self._extract(embedders, images, "extracting features")
        memories = tuple(
            first_memory(embedder_state(embedder), own, images.labels, self.settings)
            for embedder, own in zip(embedders, seen, strict=True)
        )
        state = LearnerState(1, memories, reduction_for(memories, self.settings))
        return LearnedTask(state, tuple(embedders), side_by_side(seen), terms, moved=True)

    def _train(
        self,
        name: str,
        members: tuple[Member, ...],
        images: LabelledImages,
        recipe: Recipe,
        task: int,
        hooks: StepHooks | None,
    ) -> dict[str, float]:
        job = TrainingJob(name, members, images, recipe, self.settings.training, self._seed(task))
        job = with_frozen_trunks(job, self.compute, self.listener, self.directory)
        self.listener.start(f"training on '{name}'", job.steps())
        on_step = None if self.log is None else partial(self.log.step, task)
        return train(job, self.compute, self.listener, hooks, self.checkpoints, on_step)

    def _members(
        self, embedders: Sequence[Embedder], state: LearnerState, before: Sequence[Extracted], recipe: Recipe
    ) -> tuple[Member, ...]:
        task = state.tasks_learned
        members = []
        for number, (embedder, own, seen) in enumerate(zip(embedders, state.members, before, strict=True)):
            specialist = self._specialist(embedder, number, task) if recipe.specialist else None
            members.append(Member(embedder, specialist, teachers_from(own, seen, recipe, task)))
        return tuple(members)

    def _specialist(self, embedder: Embedder, member: int, task: int) -> Embedder:
        """Return f_new: from the pretrained weights, or a copy of the model where there are none."""
        if self.pretrained is None:
            return restore_embedder(embedder.settings, embedder_state(embedder))
        return build_member(self.settings.model, self.pretrained, member, self._seed(task) + 1)

    def _restored(self, weights: Sequence[Arrays]) -> list[Embedder]:
        embedders = restore_members(self.settings.model, weights)
        return [embedder.to(self.compute.device) for embedder in embedders]

    def _extract(self, embedders: Sequence[Embedder], images: LabelledImages, stage: str) -> list[Extracted]:
        self.listener.start(stage, len(images))
        return extract_in_chunks(embedders, images.pixels, self.compute, self.listener, self.shards)

    def _views(
        self, old_weights: Sequence[Arrays], embedders: Sequence[Embedder], images: LabelledImages, task: int
    ) -> list[ViewFeatures | None]:
        """Return for each member what it said before and says now of distorted views of the images."""
        wanted = self.settings.training.drift_views
        if not wanted:
            return [None] * len(embedders)
        random, both = np.random.default_rng(self._seed(task)), [*self._restored(old_weights), *embedders]
        freeze_trunks(both, self.compute, self.settings.training.train_stages)  # so that each is run once
        self.listener.start("looking at distorted views", wanted * len(images))
        drawn = [DistortedRows.drawn(images.pixels, random) for _ in range(wanted)]
        seen = [extract_each(both, view, self.compute, self.listener) for view in drawn]
        features = [np.concatenate([one[number].features for one in seen]) for number in range(len(both))]
        members = len(embedders)
        return list(zip(features[:members], features[members:], strict=True))

    def _renewed(
        self,
        state: LearnerState,
        before: Sequence[Extracted],
        after: Sequence[Extracted],
        weights: Sequence[Arrays],
        images: LabelledImages,
        generation: int,
        views: Sequence[ViewFeatures | None],
    ) -> tuple[LearnerState, tuple[DriftChoice, ...]]:
        renewed = [
            next_memory(
                memory,
                own,
                (old, new),
                images.labels,
                task=state.tasks_learned,
                generation=generation,
                settings=self.settings,
                views=shown,
            )
            for memory, own, old, new, shown in zip(state.members, weights, before, after, views, strict=True)
        ]
        members = tuple(member for member, _ in renewed)
        next_state = LearnerState(state.tasks_learned + 1, members, reduction_for(members, self.settings))
        return next_state, tuple(choice for _, choice in renewed)

    def _unmoved(
        self, state: LearnerState, seen: Sequence[Extracted], images: LabelledImages
    ) -> LearnerState:
        members = tuple(
            unmoved_memory(memory, own, images.labels, task=state.tasks_learned, settings=self.settings)
            for memory, own in zip(state.members, seen, strict=True)
        )
        return LearnerState(state.tasks_learned + 1, members, reduction_for(members, self.settings))

    def _seed(self, task: int) -> int:
        """Return a seed of the task's own, so that a task never depends on how long earlier ones took."""
        return int(np.random.SeedSequence([self.settings.training.seed, task]).generate_state(1)[0])


def _joined(images: LabelledImages, rehearsal: LabelledImages) -> LabelledImages:
    pixels = JoinedRows(images.pixels, rehearsal.pixels)
    return LabelledImages(pixels, np.concatenate([images.labels, rehearsal.labels]))


def _first_rows(extracted: Extracted, count: int) -> Extracted:
    return Extracted(extracted.features[:count], extracted.outputs[:count])
