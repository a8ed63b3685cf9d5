"""Metric-learning losses for one's own training loop: called with unit vectors (B, D) and labels (B,)."""

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

__all__ = [
    "ArcFaceLoss",
    "BinomialDevianceLoss",
    "ContrastiveLoss",
    "HardMiningLoss",
    "MarginLoss",
    "MultiSimilarityLoss",
    "NPairLoss",
    "NormalisedSoftmaxLoss",
    "ProxyAnchorLoss",
    "ProxyNcaLoss",
    "SoftTripleLoss",
    "SupConLoss",
    "TripletLoss",
]
