"""Who learns a stream when methods are compared: the learner itself, or joint training as a bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from continual_dml.embedding.precision import Compute
from continual_dml.pixels import JoinedRows
from continual_dml.ports import ProgressListener
from continual_dml.records import Experience, LabelledImages
from continual_dml.settings import Settings
from continual_dml.strategies.first_tasks import FirstTasks
from continual_dml.strategies.hooks import StepHooks
from continual_dml.strategies.learner import LearnedTask, Learner
from continual_dml.strategies.state import LearnerState


class StreamLearner(Protocol):
    """Learns the tasks of a stream in order."""

    def learn(self, position: int, experience: Experience) -> LearnedTask | None:
        """Learn the task at ``position`` (from 0); None where there is nothing to measure yet."""

    @property
    def extra_bytes(self) -> int:
        """What is kept between tasks besides the learner's state: images, importances of weights."""


class SequentialLearner:
    """Learns each task from its own images, as ``cdml ingest-task`` does.

    Args:
        settings: of the model and the training of later tasks.
        first_steps: optimisation steps of the first task; None for those of the later ones.
        pretrained: backbone weights or None.
        compute: device and precision.
        listener: told of the progress.
        hooks: called around each optimisation step.
        first_tasks: where the first task is looked up, and kept for others; None learns it here. Hooks see
            every step, so with hooks it is learned here as well.
    """

    extra_bytes = 0

    def __init__(
        self,
        settings: Settings,
        first_steps: int | None,
        pretrained: Mapping[str, NDArray[Any]] | None,
        compute: Compute,
        listener: ProgressListener,
        hooks: StepHooks | None = None,
        first_tasks: FirstTasks | None = None,
    ) -> None:
        self._hooks = hooks
        self._first_tasks = first_tasks if first_tasks is not None and hooks is None else FirstTasks()
        self._later = Learner(settings, pretrained, compute, listener)
        self._first = replace(self._later, settings=with_steps(settings, first_steps))
        self._state: LearnerState | None = None

    def learn(
        self, position: int, experience: Experience, rehearsal: LabelledImages | None = None
    ) -> LearnedTask:
        """Learn the images of one task; only reference methods have a ``rehearsal`` to draw from as well."""
        state, name, images = self._state, experience.name, experience.train
        if state is None:
            learned = self._first_tasks.learned(
                self._first.settings, lambda: self._first.learn(name, images, None, position, self._hooks)
            )
        else:
            learned = self._later.learn(name, images, state, position, self._hooks, rehearsal)
        self._state = learned.state
        return learned


class JointLearner:
    """Waits for all tasks and learns them as one: the bound that keeps every image.

    Where the settings give a number of steps, it takes as many as the tasks would have taken one by one; else
    as many as a task of all these images takes. Breaks the no-replay rule.

    Args:
        settings: of the model and the training.
        tasks: how many tasks the stream has.
        first_steps: optimisation steps of a first task; None for those of the later ones.
        pretrained: backbone weights or None.
        compute: device and precision.
        listener: told of the progress.
    """

    def __init__(
        self,
        settings: Settings,
        tasks: int,
        first_steps: int | None,
        pretrained: Mapping[str, NDArray[Any]] | None,
        compute: Compute,
        listener: ProgressListener,
    ) -> None:
        later = settings.training.steps
        total = None if later is None else (first_steps or later) + (tasks - 1) * later
        self._learner = Learner(with_steps(settings, total), pretrained, compute, listener)
        self._tasks = tasks
        self._images: LabelledImages | None = None

    @property
    def extra_bytes(self) -> int:
        """Size of the pixels that were kept."""
        return 0 if self._images is None else len(self._images) * self._images.pixels[:1].nbytes

    def learn(self, position: int, experience: Experience) -> LearnedTask | None:
        """Keep the images; learn all of them at the last task."""
        new = experience.train
        self._images = new if self._images is None else joined(self._images, new)
        if position < self._tasks - 1:
            return None
        return self._learner.learn("all tasks", self._images, None, 0)


def joined(first: LabelledImages, second: LabelledImages) -> LabelledImages:
    """Return both sets as one, without copying pixels."""
    pixels = JoinedRows(first.pixels, second.pixels)
    return LabelledImages(pixels, np.concatenate([first.labels, second.labels]))


def with_steps(settings: Settings, steps: int | None) -> Settings:
    """Return ``settings`` with a number of steps; None leaves what they say."""
    if steps is None:
        return settings
    return replace(settings, training=replace(settings.training, steps=steps, epochs=None))
