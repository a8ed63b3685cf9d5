"""Avalanche's importance penalties, fitted to an embedder that is trained with a metric loss.

EWC, SI and MAS hold each weight near its old value, the more the more important it was::

    L = L_m(f) + strength * sum_i importance_i (w_i - w_i(old))^2

The penalties and importances are Avalanche's own; each class here changes the little that does not fit.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch

from continual_dml.embedding.torchvision_guard import import_torchvision
from continual_dml.strategies.avalanche_views import RawOutputs

import_torchvision()  # Avalanche imports torchvision, which may need the guard
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="no QP solver found")  # of a strategy that is not used here
    from avalanche.training.plugins import EWCPlugin, MASPlugin, SynapticIntelligencePlugin

if TYPE_CHECKING:
    from continual_dml.strategies.avalanche_strategy import EmbeddingStrategy

DAMPING = 1e-3
"""Squared distances of synaptic intelligence far below this one count as if they were it."""

_NEXT_TO_NOTHING = torch.finfo(torch.float32).tiny


class EmbeddingEWC(EWCPlugin):  # type: ignore[misc]
    """Elastic weight consolidation: importance is the mean squared gradient of the metric loss.

    Avalanche takes one gradient per batch of the experience in its own order. A metric loss compares the
    images of a batch, so a batch of one category has none and would say that no weight is important; here
    the batches are class-balanced ones, as in training. The loss has no gradient per image either: what is
    averaged are squared gradients of batches, smaller than a classifier's Fisher information by about the
    batch size.

    Each experience keeps importances and weights of its own, so memory and time grow with their number.

    Source: Kirkpatrick et al. 2017, "Overcoming catastrophic forgetting in neural networks" (arXiv
    1612.00796).
    """

    def after_training_exp(self, strategy: EmbeddingStrategy, **kwargs: Any) -> None:  # noqa: ANN401
        """Measure and keep importances on class-balanced batches."""
        with _dealt_batches(strategy):
            super().after_training_exp(strategy, **kwargs)

    @property
    def extra_bytes(self) -> int:
        """Bytes of all importances and old weights."""
        kept = [*self.importances.values(), *self.saved_params.values()]
        return sum(_bytes(group.values()) for group in kept)


class EmbeddingSI(SynapticIntelligencePlugin):  # type: ignore[misc]
    """Synaptic intelligence: importance is how much a weight's way lowered the loss, per squared distance.

    Three things differ from Avalanche 0.6.0:

    - On a CPU it takes the weights "before the step" as views of the live ones, which move along: every
      contiguous weight seems to stay in place, and all its importances and penalties are zero. Here they are
      copies.
    - It caps importances at 0.001. An adaptive optimiser's ways are short for their gradients, and every
      importance would stand at the cap: a plain pull to the old weights. Here there is no cap, and squared
      distances are damped by ``DAMPING`` instead, as in the paper.
    - A way that led uphill would make an importance negative, and the penalty would drive the weight away
      without bound. Importances stop at zero here.

    As in Avalanche the way is that of the whole loss, penalty included, and weights of batch norm are left
    free.

    Source: Zenke, Poole, Ganguli 2017, "Continual Learning Through Synaptic Intelligence" (arXiv 1703.04200).
    """

    def __init__(self, si_lambda: float, eps: float = DAMPING) -> None:
        super().__init__(si_lambda, eps)

    def before_training_exp(self, strategy: EmbeddingStrategy, **kwargs: Any) -> None:  # noqa: ANN401
        """Note where the weights start, as copies."""
        super().before_training_exp(strategy, **kwargs)
        _detach_from_model(self.ewc_data[0].values())

    def before_training_iteration(self, strategy: EmbeddingStrategy, **kwargs: Any) -> None:  # noqa: ANN401
        """Note where the weights are before a step, as copies."""
        super().before_training_iteration(strategy, **kwargs)
        _detach_from_model(self.syn_data["old_theta"].values())

    def after_training_exp(self, strategy: EmbeddingStrategy, **kwargs: Any) -> None:  # noqa: ANN401
        """Renew the importances from the ways so far; none is below zero."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "__array_wrap__", DeprecationWarning)  # numpy on torch tensors
            super().after_training_exp(strategy, **kwargs)
        for name, way in self.syn_data["cum_trajectory"].items():
            self.ewc_data[1][name].data = (-way.data).clamp(min=0.0)

    @property
    def extra_bytes(self) -> int:
        """Bytes of importances, old weights and the ways so far; not of what lives within one experience."""
        kept = (*self.ewc_data, self.syn_data["cum_trajectory"])
        return sum(_bytes(group.values()) for group in kept)


class EmbeddingMAS(MASPlugin):  # type: ignore[misc]
    """Memory aware synapses: importance is the mean size of the gradient of the outputs' squared length.

    The squared length of a unit embedding is always 1 and has no gradient, so that every importance would be
    zero but for rounding; the raw outputs of the projection are looked at instead, in class-balanced batches
    and without touching batch norm. What they protect is the length of the outputs along with their
    direction, though retrieval asks for the direction alone.

    Avalanche also takes a metric loss of exactly zero, which is a batch without any pair to learn from, for a
    missing one and stops; here it goes on.

    Source: Aljundi et al. 2018, "Memory Aware Synapses: Learning what (not) to forget" (arXiv 1711.09601).
    """

    def before_backward(self, strategy: EmbeddingStrategy, **kwargs: Any) -> None:  # noqa: ANN401
        """Add the penalty, also to a loss of zero."""
        strategy.loss = strategy.loss + _NEXT_TO_NOTHING
        super().before_backward(strategy, **kwargs)

    def after_training_exp(self, strategy: EmbeddingStrategy, **kwargs: Any) -> None:  # noqa: ANN401
        """Measure and keep importances on the raw outputs of class-balanced batches."""
        model = strategy.model
        was_training = model.training
        strategy.model = RawOutputs(model.embedder)  # type: ignore[assignment]  # only meanwhile
        try:
            with _dealt_batches(strategy):
                super().after_training_exp(strategy, **kwargs)
        finally:
            strategy.model = model.train(was_training)

    @property
    def extra_bytes(self) -> int:
        """Bytes of importances and old weights."""
        return sum(_bytes(group.values()) for group in (self.importance, self.params) if group)


@contextmanager
def _dealt_batches(strategy: EmbeddingStrategy) -> Iterator[None]:
    """Let plugins meet class-balanced batches where they look for the experience's dataset."""
    experience, batch_images = strategy.experience, strategy.train_mb_size
    views = strategy.dealt_views()
    strategy.experience = SimpleNamespace(dataset=views)
    strategy.train_mb_size = views.batch_images
    try:
        yield
    finally:
        strategy.experience, strategy.train_mb_size = experience, batch_images


def _detach_from_model(values: Iterable[Any]) -> None:
    for value in values:
        value.data = value.data.clone()


def _bytes(values: Iterable[Any]) -> int:
    return sum(value.data.nbytes for value in values)
