"""How strongly a drift map is held back towards the identity, judged on categories it was not fitted to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from continual_dml.memory.decompositions import thin_svd

Floats = NDArray[np.float64]

GRID = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
FOLDS = 4
SMALLEST_VARIANCE = 1e-12
WITHOUT_A_CHOICE = 10.0
"""Strength where there is a single category, so that none can be held out: close to a mere shift."""


def choose_drift_strength(
    before: NDArray[np.floating], after: NDArray[np.floating], labels: NDArray[np.int64]
) -> float:
    """Return the strength of :data:`GRID` whose maps carry held-out categories best.

    The map will carry categories that the new images do not show, so whole categories are held out: in each
    of up to four folds a map is fitted to the others and its squared error on the held-out ones is added up.
    Deterministic.

    Args:
        before: (N, d) features by the old model.
        after: (N, d) features of the same images by the new model.
        labels: (N,) their categories.

    Source: docs/methods.md, "Drift maps".
    """
    categories = np.unique(labels)
    folds = min(FOLDS, len(categories))
    if folds < 2:
        return WITHOUT_A_CHOICE
    errors = np.zeros(len(GRID))
    for fold in range(folds):
        held_out = np.isin(labels, categories[fold::folds])
        errors += _errors(before, after, held_out)
    return GRID[int(np.argmin(errors))]


def _errors(before: NDArray[np.floating], after: NDArray[np.floating], held_out: NDArray[np.bool_]) -> Floats:
    """Return for each strength the squared error on the held-out rows of a map fitted to the others.

    In the dual form: with n images the drift of the fitted ones spans at most n directions, so one singular
    value decomposition (n, d) serves all strengths.
    """
    old, new = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    mean_old, mean_new = old[~held_out].mean(axis=0), new[~held_out].mean(axis=0)
    fitted = old[~held_out] - mean_old
    drift = new[~held_out] - mean_new - fitted
    left, lengths, axes = thin_svd(fitted)
    variances = lengths**2 / len(fitted)
    spread = variances.sum() / old.shape[1]
    asked = old[held_out] - mean_old
    wanted = new[held_out] - mean_new - asked
    coordinates, pull = asked @ axes.T, (left * lengths).T @ drift / len(fitted)
    errors = []
    for strength in GRID:
        carried = (coordinates / (variances + strength * spread + SMALLEST_VARIANCE)) @ pull
        errors.append(float(np.square(carried - wanted).sum()))
    return np.array(errors)
