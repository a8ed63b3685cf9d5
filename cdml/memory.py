"""What is kept of past classes instead of their images, and what comes of it: arrays in, arrays out."""

from continual_dml.memory.class_statistics import ClassStatistics, centred_on_classes, measure_classes
from continual_dml.memory.discriminant_head import DiscriminantHead, fit_discriminant_head
from continual_dml.memory.drift import AffineMap, DriftFit, fit_drift
from continual_dml.memory.virtual_features import virtual_embeddings

__all__ = [
    "AffineMap",
    "ClassStatistics",
    "DiscriminantHead",
    "DriftFit",
    "centred_on_classes",
    "fit_discriminant_head",
    "fit_drift",
    "measure_classes",
    "virtual_embeddings",
]
