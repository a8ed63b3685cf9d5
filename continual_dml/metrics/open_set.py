"""Known or unknown: how well one score tells queries of known categories from those of unknown ones.

A query is accepted where its score reaches a threshold. Source: open-set recognition as verification, with
false-accept rate, true-accept rate and AUROC as in Hendrycks and Gimpel 2017 (arXiv 1610.02136).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]
ROUNDING = 1e-9
"""Shares are sums of fractions, and may come out so much too large."""


def auroc(known: Scores, unknown: Scores) -> float:
    """Return how often a known query scores above an unknown one, ties counted half; NaN without either.

    Args:
        known: (K,) scores of queries whose category is known.
        unknown: (U,) scores of the others.

    >>> auroc(np.array([0.9, 0.6]), np.array([0.6, 0.2]))  # 3 of 4 pairs, and one tie
    0.875
    """
    if not len(known) or not len(unknown):
        return float("nan")
    ordered = np.sort(unknown)
    below = np.searchsorted(ordered, known, side="left")
    not_above = np.searchsorted(ordered, known, side="right")
    return float((below + not_above).mean() / (2 * len(unknown)))


def accept_rate(scores: Scores, threshold: float) -> float:
    """Return the share of ``scores`` (N,) that reach ``threshold``; NaN where there are none.

    The true-accept rate for queries of known categories, the false-accept rate for those of unknown ones.

    >>> accept_rate(np.array([0.9, 0.5, 0.2]), 0.5).__round__(3)
    0.667
    """
    return float(_reached(scores, threshold).mean()) if len(scores) else float("nan")


def accept_rate_of_categories(scores: Scores, categories: NDArray[np.int64], threshold: float) -> float:
    """Return the mean over categories of the share of their ``scores`` (N,) that reach ``threshold``.

    >>> accept_rate_of_categories(np.array([0.9, 0.8, 0.1]), np.array([1, 1, 2]), 0.5)
    0.5
    """
    if not len(scores):
        return float("nan")
    return float(_weights(categories)[_reached(scores, threshold)].sum() / len(np.unique(categories)))


def threshold_for(unknown: Scores, categories: NDArray[np.int64], target: float) -> float | None:
    """Return the lowest threshold that lets in no more than ``target`` of a category not seen so far.

    ::

        (1 + sum over categories of the share of their scores that reach t) / (categories + 1) <= target

    Images of a category resemble each other, so what is counted is categories, each with the same weight.
    The one that is added counts as accepted altogether: then the expected false-accept rate of a further
    category, of the same kind as these, is at most ``target``, however few they are.

    Args:
        unknown: (U,) scores of queries whose categories are unknown to what gave the scores.
        categories: (U,) of these queries.
        target: false-accept rate, above 0 and below 1.

    Returns:
        The threshold, or None where there are fewer than 1/target - 1 categories: even a threshold that all
        of them stay below would then promise too much.

    Source: conformal prediction for grouped data (Dunn, Wasserman, Ramdas 2022, arXiv 1809.07441).

    >>> scores = np.array([0.5, 0.1, 0.4, 0.2])
    >>> 0.5 < threshold_for(scores, np.array([1, 1, 2, 3]), 0.25) < 0.500001
    True
    >>> threshold_for(scores, np.array([1, 1, 2, 3]), 0.2) is None
    True
    """
    count = len(np.unique(categories))
    allowed = target * (count + 1) - 1
    if not count or allowed < -ROUNDING:
        return None
    order = np.argsort(-unknown, kind="stable")
    accepted = np.cumsum(_weights(categories)[order])
    refused = unknown[order][np.searchsorted(accepted, allowed + ROUNDING, side="right")]
    return float(np.nextafter(np.float64(refused), np.inf))


def _reached(scores: Scores, threshold: float) -> NDArray[np.bool_]:
    # In float64: a threshold just above a score would be that score in float32.
    return np.asarray(scores, dtype=np.float64) >= threshold


def _weights(categories: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return for each score (N,) one over how many its category has."""
    _, rows, counts = np.unique(categories, return_inverse=True, return_counts=True)
    weights: NDArray[np.float64] = 1.0 / counts[rows]
    return weights
