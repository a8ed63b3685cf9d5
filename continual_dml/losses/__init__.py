"""Metric-learning losses over one batch of unit vectors. One idea per file; this mapping names them."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from continual_dml.errors import UnknownChoice
from continual_dml.losses.contrastive import ContrastiveLoss
from continual_dml.losses.multi_similarity import MultiSimilarityLoss
from continual_dml.losses.proxy_anchor import ProxyAnchorLoss
from continual_dml.losses.triplet import TripletLoss
from continual_dml.miners import miner_named
from continual_dml.settings import TrainingSettings

LossFactory = Callable[[TrainingSettings, Tensor, int], nn.Module]

LOSSES: dict[str, LossFactory] = {
    "multi-similarity": lambda settings, class_ids, dimension: MultiSimilarityLoss(),
    "triplet": lambda settings, class_ids, dimension: TripletLoss(miner_named(settings.miner)),
    "contrastive": lambda settings, class_ids, dimension: ContrastiveLoss(),
    "proxy-anchor": lambda settings, class_ids, dimension: ProxyAnchorLoss(class_ids, dimension),
}


def make_loss(settings: TrainingSettings, class_ids: Tensor, dimension: int) -> nn.Module:
    """Return the loss that the settings name; it satisfies :class:`continual_dml.ports.PairLoss`.

    Args:
        settings: ``loss`` names it, ``miner`` the miner of a triplet loss.
        class_ids: (C,) the global category ids of the task.
        dimension: D, length of an embedding.

    Raises:
        UnknownChoice: there is no loss or miner of that name.
    """
    if settings.loss not in LOSSES:
        raise UnknownChoice("loss", settings.loss, LOSSES)
    return LOSSES[settings.loss](settings, class_ids, dimension)
