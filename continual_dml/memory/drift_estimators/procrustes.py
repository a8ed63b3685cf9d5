"""A rotation and a shift."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from continual_dml.memory.decompositions import thin_svd
from continual_dml.memory.drift_estimators.protocol import ByPosition, Carrier, Floats, Ints, affine_numbers

TIE_BREAK = 1e-9


def fit_procrustes(before: NDArray[np.floating], after: NDArray[np.floating], labels: Ints) -> Carrier:
    """Fit the rotation (or reflection) and the shift with the least squared error on the new images.

    ::

        g(x) = mean_b + Q (x - mean_a),   Q = U V',   U S V' = C_ba

    With fewer images than dimensions many rotations are as good. C_ba + epsilon I instead of C_ba takes of
    them the one nearest to the identity.

    Source: orthogonal Procrustes (Schoenemann 1966).
    """
    old, new = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    mean_old, mean_new = old.mean(axis=0), new.mean(axis=0)
    cross = (new - mean_new).T @ (old - mean_old)
    scale = float(np.linalg.norm(cross, 2)) or 1.0
    left, _, right = thin_svd(cross + TIE_BREAK * scale * np.eye(len(cross)))
    rotation: Floats = left @ right

    def carry(points: Floats) -> Floats:
        return np.asarray(mean_new + (points - mean_old) @ rotation.T)

    return ByPosition(carry, affine_numbers(len(rotation)))
