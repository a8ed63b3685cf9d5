"""The plane in which vectors differ most: a map of an embedding space that people can look at."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class PrincipalPlane(NamedTuple):
    """Places of vectors in the plane of their first two principal components.

    ``places`` (n, 2), their mean at 0; ``explained`` (2,): the share of all variance along each.
    """

    places: NDArray[np.float64]
    explained: NDArray[np.float64]


def principal_plane(vectors: NDArray[np.floating]) -> PrincipalPlane:
    """Project vectors onto their first two principal components.

    The side of each axis that its largest weight is on is the positive one, so that equal vectors always give
    the same map.

    Args:
        vectors: (n, D), a few thousand at most.

    >>> found = principal_plane(np.array([[0.0, 0, 1], [2, 0, 1], [4, 0, 1]]))
    >>> found.places.round(3).tolist(), found.explained.round(3).tolist()
    ([[-2.0, 0.0], [0.0, 0.0], [2.0, 0.0]], [1.0, 0.0])
    """
    places, explained = np.zeros((len(vectors), 2)), np.zeros(2)
    if not vectors.size:
        return PrincipalPlane(places, explained)
    centred = vectors - vectors.mean(axis=0, dtype=np.float64)
    variances, axes = np.linalg.eigh(centred.T @ centred)  # ascending
    found = min(2, len(variances))
    first = axes[:, ::-1][:, :found]
    largest = np.abs(first).argmax(axis=0)
    first = first * np.where(first[largest, np.arange(found)] < 0, -1.0, 1.0)
    places[:, :found] = centred @ first
    total = float(variances.sum())
    if total > 0:
        explained[:found] = np.maximum(variances[::-1][:found], 0.0) / total
    return PrincipalPlane(places, explained)
