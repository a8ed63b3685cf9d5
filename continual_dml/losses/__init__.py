"""Metric-learning losses over one batch of unit vectors. One idea per file; this mapping names them."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from continual_dml.errors import UnknownChoice
from continual_dml.losses.arcface import ArcFaceLoss
from continual_dml.losses.binomial_deviance import BinomialDevianceLoss
from continual_dml.losses.contrastive import ContrastiveLoss
from continual_dml.losses.hard_mining import HardMiningLoss
from continual_dml.losses.margin import MarginLoss
from continual_dml.losses.multi_similarity import MultiSimilarityLoss
from continual_dml.losses.n_pair import NPairLoss
from continual_dml.losses.normalised_softmax import NormalisedSoftmaxLoss
from continual_dml.losses.proxy_anchor import ProxyAnchorLoss
from continual_dml.losses.proxy_nca import ProxyNcaLoss
from continual_dml.losses.soft_triple import SoftTripleLoss
from continual_dml.losses.supcon import SupConLoss
from continual_dml.losses.triplet import TripletLoss
from continual_dml.miners import make_miner
from continual_dml.settings import TrainingSettings

LossFactory = Callable[[TrainingSettings, Tensor, int], nn.Module]

LOSSES: dict[str, LossFactory] = {
    "multi-similarity": lambda settings, class_ids, dimension: MultiSimilarityLoss(),
    "triplet": lambda settings, class_ids, dimension: TripletLoss(
        make_miner(settings.miner, dimension), only_violated=settings.miner == "all"
    ),
    "contrastive": lambda settings, class_ids, dimension: ContrastiveLoss(),
    "margin": lambda settings, class_ids, dimension: MarginLoss(class_ids, dimension),
    "hard-mining": lambda settings, class_ids, dimension: HardMiningLoss(),
    "binomial-deviance": lambda settings, class_ids, dimension: BinomialDevianceLoss(),
    "n-pair": lambda settings, class_ids, dimension: NPairLoss(),
    "supcon": lambda settings, class_ids, dimension: SupConLoss(),
    "proxy-anchor": lambda settings, class_ids, dimension: ProxyAnchorLoss(class_ids, dimension),
    "proxy-nca": lambda settings, class_ids, dimension: ProxyNcaLoss(class_ids, dimension),
    "soft-triple": lambda settings, class_ids, dimension: SoftTripleLoss(class_ids, dimension),
    "normalised-softmax": lambda settings, class_ids, dimension: NormalisedSoftmaxLoss(class_ids, dimension),
    "arcface": lambda settings, class_ids, dimension: ArcFaceLoss(class_ids, dimension),
}


def make_loss(settings: TrainingSettings, class_ids: Tensor, dimension: int) -> nn.Module:
    """Return the loss that the settings name; it satisfies :class:`continual_dml.ports.PairLoss`.

    A loss with parameters of its own has the attribute ``learning_rate``, the rate they are learned at.
    Those parameters, and the seed of a sampling miner, are drawn from torch's global generator here.

    Args:
        settings: ``loss`` names it, ``miner`` the miner of a triplet loss (the margin loss always samples by
            distance).
        class_ids: (C,) the global category ids of the task.
        dimension: D, length of an embedding.

    Raises:
        UnknownChoice: there is no loss or miner of that name.
    """
    if settings.loss not in LOSSES:
        raise UnknownChoice("loss", settings.loss, LOSSES)
    return LOSSES[settings.loss](settings, class_ids, dimension)
