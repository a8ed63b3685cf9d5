"""Least squares, held back by nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from continual_dml.memory.decompositions import thin_svd
from continual_dml.memory.drift_estimators.protocol import ByPosition, Carrier, Floats, Ints, affine_numbers

SMALLEST_SHARE = 1e-9


def fit_linear(before: NDArray[np.floating], after: NDArray[np.floating], labels: Ints) -> Carrier:
    """Fit the affine map with the least squared error on the new images.

    ::

        g(x) = mean_b + A (x - mean_a),   A = I + (C_ba - C_aa) C_aa^+

    With fewer images than dimensions many maps have none; this is the one of them that is nearest to the
    identity, which leaves directions alone that the images never show. It is the ridge map at strength 0.

    Source: LDC (Gomez-Villa et al. 2024) fits such a map by gradient descent.
    """
    old, new = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    mean_old, mean_new = old.mean(axis=0), new.mean(axis=0)
    left, lengths, axes = thin_svd(old - mean_old)
    real = lengths > SMALLEST_SHARE * lengths.max(initial=0.0)
    axes = axes[real]
    pull = (left[:, real] / lengths[real]).T @ (new - mean_new - (old - mean_old))

    def carry(points: Floats) -> Floats:
        apart = points - mean_old
        return np.asarray(mean_new + apart + (apart @ axes.T) @ pull)

    return ByPosition(carry, affine_numbers(old.shape[1]))
