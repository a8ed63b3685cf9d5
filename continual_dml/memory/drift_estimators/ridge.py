"""The map that the product uses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from continual_dml.memory.drift import AffineMap, fit_drift
from continual_dml.memory.drift_estimators.protocol import ByPosition, Carrier, Ints, affine_numbers
from continual_dml.memory.drift_strength import choose_drift_map


def fit_ridge(before: NDArray[np.floating], after: NDArray[np.floating], labels: Ints) -> Carrier:
    """Fit the affine map of the product: held to the identity as strongly as held-out categories ask for.

    ::

        A = I + (C_ba - C_aa)(C_aa + lambda tr(C_aa)/d I)^-1        g(x) = mean_b + A (x - mean_a)

    or the identity where it carries held-out categories with less error than any such map.

    Source: :func:`continual_dml.memory.drift_strength.choose_drift_map`.
    """
    return ByPosition(ridge_map(before, after, labels), affine_numbers(before.shape[1]))


def ridge_map(before: NDArray[np.floating], after: NDArray[np.floating], labels: Ints) -> AffineMap:
    """Return the affine map of :func:`fit_ridge`."""
    choice = choose_drift_map(before, after, labels)
    return fit_drift(before, after, choice.strength).map
