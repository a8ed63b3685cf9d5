"""R-precision and MAP@R: how pure the first R places are, R being the number of items there are to find.

Source: Musgrave, Belongie, Lim 2020, "A Metric Learning Reality Check" (arXiv 2003.08505), section 3.3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def r_precision(hits: NDArray[np.bool_], relevant: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return, per query, the share of positives among its first R places.

    Args:
        hits: (Q, k) whether the item at each place is a positive, best place first, k >= every R.
        relevant: (Q,) R, the number of positives in the gallery, at least 1.

    Returns:
        (Q,) between 0 and 1.

    >>> r_precision(np.array([[True, False, True, True]]), np.array([3])).round(4).tolist()
    [0.6667]
    """
    share: NDArray[np.float64] = _within_r(hits, relevant).sum(axis=1) / relevant
    return share


def map_at_r(hits: NDArray[np.bool_], relevant: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return, per query, the precision at each hit among its first R places, summed and divided by R.

    ::

        MAP@R = 1/R sum_{i=1..R} precision(i) [place i is a positive]

    Args and shapes as in :func:`r_precision`.

    >>> map_at_r(np.array([[True, False, True, True]]), np.array([3])).round(4).tolist()  # (1 + 2/3) / 3
    [0.5556]
    """
    within = _within_r(hits, relevant)
    places = np.arange(1, hits.shape[1] + 1)
    precision = np.cumsum(within, axis=1) / places
    average: NDArray[np.float64] = (precision * within).sum(axis=1) / relevant
    return average


def _within_r(hits: NDArray[np.bool_], relevant: NDArray[np.int64]) -> NDArray[np.bool_]:
    return hits & (np.arange(hits.shape[1]) < relevant[:, None])
