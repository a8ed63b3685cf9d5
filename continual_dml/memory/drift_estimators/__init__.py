"""Estimators of what a task did to the feature space, by name, for comparison. One idea per file."""

from __future__ import annotations

from continual_dml.memory.drift_estimators.class_means import fit_class_means
from continual_dml.memory.drift_estimators.class_weights import fit_class_weights
from continual_dml.memory.drift_estimators.identity import fit_identity
from continual_dml.memory.drift_estimators.linear import fit_linear
from continual_dml.memory.drift_estimators.local_residual import fit_local_residual
from continual_dml.memory.drift_estimators.mean_shift import fit_mean_shift
from continual_dml.memory.drift_estimators.perceptron import fit_perceptron
from continual_dml.memory.drift_estimators.procrustes import fit_procrustes
from continual_dml.memory.drift_estimators.protocol import DriftEstimator
from continual_dml.memory.drift_estimators.ridge import fit_ridge
from continual_dml.memory.drift_estimators.semantic_kernel import fit_semantic_kernel

DEFAULT = "ridge"

ESTIMATORS: dict[str, DriftEstimator] = {
    "identity": fit_identity,
    "mean-shift": fit_mean_shift,
    "class-means": fit_class_means,
    "linear": fit_linear,
    "procrustes": fit_procrustes,
    "ridge": fit_ridge,
    "sdc": fit_semantic_kernel,
    "class-weights": fit_class_weights,
    "local-residual": fit_local_residual,
    "perceptron": fit_perceptron,
}
