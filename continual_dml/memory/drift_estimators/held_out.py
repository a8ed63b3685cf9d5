"""Choosing among carriers by how well they carry categories that they were not fitted to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from continual_dml.memory.drift_estimators.protocol import Carrier, Floats, Ints
from continual_dml.memory.drift_strength import category_folds

Fit = Callable[[Floats, Floats, Ints], Sequence[Carrier]]


def best_candidate(
    before: NDArray[np.floating], after: NDArray[np.floating], labels: Ints, fit: Fit
) -> int | None:
    """Return which candidate carries held-out categories with the least squared error.

    Args:
        before: (N, d) features by the old model.
        after: (N, d) features of the same images by the new model.
        labels: (N,) their categories; up to four folds hold some out.
        fit: returns one carrier for each candidate, always in the same order.

    Returns:
        Its number, the first of those that are equal; None where there is a single category.
    """
    folds = category_folds(labels)
    if len(folds) < 2:
        return None
    old, new = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    errors: list[list[float]] = []
    for rows in folds:
        carriers = fit(old[~rows], new[~rows], labels[~rows])
        errors.append(
            [float(np.square(carry(old[rows], labels[rows]) - new[rows]).sum()) for carry in carriers]
        )
    return int(np.argmin(np.sum(errors, axis=0)))
