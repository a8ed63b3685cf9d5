"""First tasks that several methods share: they differ only in how they learn the later ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from continual_dml.settings import ObjectiveWeights, Settings, TrainingSettings
from continual_dml.strategies.learner import LearnedTask

_NEUTRAL = TrainingSettings()


class FirstTasks:
    """Remembers learned first tasks by those settings that decide them.

    One of these belongs to one stream, one number of first steps and one set of pretrained weights for each
    network. What it returns is shared: the networks and the state of a :class:`LearnedTask` are only read.
    """

    def __init__(self) -> None:
        self._learned: dict[Settings, LearnedTask] = {}

    def learned(self, settings: Settings, learn: Callable[[], LearnedTask]) -> LearnedTask:
        """Return the first task as learned with ``settings``: by ``learn``, or as it was learned before.

        ``seconds_saved`` of the result is what learning it took, where that was before.
        """
        key = deciding_the_first_task(settings)
        if key in self._learned:
            return self._learned[key]
        begin = time.perf_counter()
        learned = learn()
        self._learned[key] = replace(learned, seconds_saved=time.perf_counter() - begin)
        return learned


def deciding_the_first_task(settings: Settings) -> Settings:
    """Return ``settings`` without what matters from the second task on only.

    These are the method with its weights, averaging and drift maps: the first task has the metric loss alone,
    with whatever cohort or self-distillation adds to it. Which head answers queries is decided when it is
    measured, but a cohort's embeddings are reduced as that head gives them.
    """
    head = "statistics" if settings.training.uses_statistics_head else "trained"
    training = replace(
        settings.training,
        method=_NEUTRAL.method,
        head=head if settings.model.ensemble == "pca" else _NEUTRAL.head,
        objective=ObjectiveWeights(),
        averaging=_NEUTRAL.averaging,
        smallest_share=_NEUTRAL.smallest_share,
        drift_strength=_NEUTRAL.drift_strength,
        output_drift_strength=_NEUTRAL.output_drift_strength,
    )
    return replace(settings, training=training)
