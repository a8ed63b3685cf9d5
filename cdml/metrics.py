"""How well it retrieves, and how much it forgot: arrays in, numbers out."""

from continual_dml.metrics.clustering import normalised_mutual_information
from continual_dml.metrics.forgetting import DEFINITIONS, RecallMatrix
from continual_dml.metrics.open_set import accept_rate, auroc, threshold_for
from continual_dml.metrics.precision import map_at_r, r_precision
from continual_dml.metrics.recall import RetrievalMetrics, found_within, retrieval_metrics

__all__ = [
    "DEFINITIONS",
    "RecallMatrix",
    "RetrievalMetrics",
    "accept_rate",
    "auroc",
    "found_within",
    "map_at_r",
    "normalised_mutual_information",
    "r_precision",
    "retrieval_metrics",
    "threshold_for",
]
