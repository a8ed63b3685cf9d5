"""Drift steps for tests: a given map, and next to no doubt about it."""

import numpy as np

from continual_dml.memory.drift import AffineMap
from continual_dml.memory.drift_doubt import DriftDoubt
from continual_dml.memory.drift_maps import DriftStep


def step_of(drift: AffineMap) -> DriftStep:
    dimension = len(drift.offset)
    nothing = np.zeros((0, dimension))
    return DriftStep(drift, DriftDoubt(1, np.zeros(dimension), nothing, np.zeros(0), 0.0, nothing, 0.0))
