"""Reference methods that come from Avalanche, on our embedder, batches, optimiser and statistics.

For comparisons within one process: what these methods keep between tasks (importances of weights, stored
images) is no part of a workspace. All of them train as the method ``finetune`` does, and

- ``ewc``, ``si`` and ``mas`` add a penalty on moved weights (:mod:`~.avalanche_importance`);
- ``replay`` keeps images of past tasks (:mod:`~.avalanche_replay`). That breaks the rule that no old image is
  kept: it is there as a reference only.

Avalanche's own plugin of learning without forgetting is left out, because it does not fit an embedder. It
takes category ids for the numbers of output units: of D outputs it distils those that are numbered like the
categories of earlier tasks, and from category D on it fails. Taken over all D coordinates of unit embeddings,
its softmax at temperature T is so flat that the divergence is next to |f - f_old|^2 / (2 D T^2): the method
``feature-distillation``, with another weight. Our method ``lwf`` distils similarities to remembered class
means instead.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from continual_dml.embedding.precision import Compute
from continual_dml.embedding.torchvision_guard import import_torchvision
from continual_dml.errors import UnknownChoice
from continual_dml.ports import ProgressListener
from continual_dml.records import Experience, LabelledImages
from continual_dml.settings import Settings
from continual_dml.strategies.avalanche_importance import EmbeddingEWC, EmbeddingMAS, EmbeddingSI
from continual_dml.strategies.avalanche_replay import ReplayLearner, squares_dataset
from continual_dml.strategies.avalanche_strategy import EmbeddingStrategy
from continual_dml.strategies.learner import LearnedTask

import_torchvision()  # Avalanche imports torchvision, which may need the guard
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="no QP solver found")  # of a strategy that is not used here
    from avalanche.benchmarks import DatasetExperience

REPLAY = "replay"
Plugin = EmbeddingEWC | EmbeddingSI | EmbeddingMAS

# The best of a grid by mean final Recall@1 on training images of a glyph stream (conv4 at 32 px, four seeds);
# ten times more costs new tasks more than it saves of old ones.
EWC_STRENGTH = 1e2
SI_STRENGTH = 3.0
MAS_STRENGTH = 0.1


def ewc(strength: float = EWC_STRENGTH) -> EmbeddingEWC:
    """Return elastic weight consolidation whose penalty is multiplied with ``strength``."""
    return EmbeddingEWC(ewc_lambda=strength)


def si(strength: float = SI_STRENGTH) -> EmbeddingSI:
    """Return synaptic intelligence whose penalty is multiplied with ``strength`` / 2."""
    return EmbeddingSI(si_lambda=strength)


def mas(strength: float = MAS_STRENGTH) -> EmbeddingMAS:
    """Return memory aware synapses whose penalty is multiplied with ``strength``."""
    return EmbeddingMAS(lambda_reg=strength)


REFERENCES: Mapping[str, Callable[..., Plugin]] = {"ewc": ewc, "si": si, "mas": mas}
"""Plugins by name; each takes its strength, and has a default for it."""


class PluginLearner:
    """Learns with one of Avalanche's plugins; made by :func:`reference_learner`."""

    def __init__(
        self,
        plugin: Plugin,
        settings: Settings,
        pretrained: Mapping[str, NDArray[Any]] | None,
        compute: Compute,
        listener: ProgressListener,
        first_steps: int | None = None,
    ) -> None:
        self._plugin = plugin
        self._images: LabelledImages  # of the task at hand
        self._strategy = EmbeddingStrategy(
            settings=settings,
            images_of=lambda _: self._images,
            pretrained=pretrained,
            compute=compute,
            plugins=[plugin],
            listener=listener,
            first_steps=first_steps,
        )

    @property
    def extra_bytes(self) -> int:
        """Bytes of importances and old weights."""
        return self._plugin.extra_bytes

    def learn(self, position: int, experience: Experience) -> LearnedTask:
        """Learn a task's training images; then measure which weights they need.

        Raises:
            EmptyTask: nothing can be compared in the first task.
            NotFiniteLoss: training diverged.
        """
        self._images = experience.train
        shown = DatasetExperience(dataset=squares_dataset(experience.train), current_experience=position)
        self._strategy.train(shown, eval_streams=[])
        return self._strategy.learned


def reference_learner(
    name: str,
    settings: Settings,
    pretrained: Mapping[str, NDArray[Any]] | None,
    compute: Compute,
    listener: ProgressListener,
    first_steps: int | None = None,
    strength: float | None = None,
) -> PluginLearner | ReplayLearner:
    """Return a learner of a stream's tasks, in order, by the name of a reference method.

    It trains as the method ``finetune`` of ``settings`` does: same seeds, batches, optimiser and statistics.

    Args:
        name: key of ``REFERENCES``, or ``replay``.
        settings: of the model and the training; the method they name is not looked at.
        pretrained: backbone weights, or None for random ones.
        compute: device and precision.
        listener: told of the progress.
        first_steps: optimisation steps of the first task; None for those of the later ones.
        strength: of a plugin's penalty; None for its default. Without meaning for ``replay``.

    Raises:
        UnknownChoice: no such reference.
        SettingsError: a plugin for a cohort of networks.
    """
    finetune = replace(settings, training=replace(settings.training, method="finetune"))
    if name == REPLAY:
        return ReplayLearner(finetune, pretrained, compute, listener, first_steps)
    if name not in REFERENCES:
        raise UnknownChoice("reference method", name, [*REFERENCES, REPLAY])
    plugin = REFERENCES[name]() if strength is None else REFERENCES[name](strength)
    return PluginLearner(plugin, finetune, pretrained, compute, listener, first_steps)
