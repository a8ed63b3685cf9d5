"""How sure one may be: a share and its interval, a probability from scores, and whether it holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NORMAL_95 = 1.959964
RIDGE = 1.0
STEPS, LONGEST_STEP = 100, 2.0
SMALLEST_SPREAD = 1e-9


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """Return the interval that a share seen as ``right`` of ``total`` lies in, with 95 % confidence.

    Without anything seen it is (0, 1).

    Source: Wilson 1927, score interval for a binomial share.

    >>> [round(end, 3) for end in wilson_interval(4, 5)]
    [0.376, 0.964]
    """
    if not total:
        return 0.0, 1.0
    square, share = NORMAL_95**2, right / total
    middle = share + square / (2 * total)
    reach = NORMAL_95 * np.sqrt(share * (1 - share) / total + square / (4 * total**2))
    low, high = (middle - reach) / (1 + square / total), (middle + reach) / (1 + square / total)
    return max(0.0, float(low)), min(1.0, float(high))


@dataclass(frozen=True, slots=True)
class Logistic:
    """``probability = 1 / (1 + exp(-(constant + slopes . features)))``."""

    constant: float
    slopes: tuple[float, ...]

    def __call__(self, features: Floats) -> Floats:
        """Return the probabilities (N,) of ``features`` (N, F).

        >>> Logistic(0.0, (2.0,))(np.array([[0.0], [1.0]])).round(3).tolist()
        [0.5, 0.881]
        """
        exponents = self.constant + np.asarray(features, dtype=np.float64) @ np.asarray(self.slopes)
        probabilities: Floats = 1.0 / (1.0 + np.exp(-np.clip(exponents, -500.0, 500.0)))
        return probabilities


def fit_logistic(features: Floats, outcomes: NDArray[np.bool_]) -> Logistic:
    """Fit how likely an outcome is; no slope is negative, and one of each outcome is added in the middle.

    The two added ones keep the probability away from 0 and 1 where all outcomes are the same. A feature
    whose slope would be negative is left out. Slopes of standardised features have a ridge of 1.

    Args:
        features: (N, F) of which more means more likely.
        outcomes: (N,).

    Source: Platt 1999, probabilities from scores by logistic regression.

    >>> fit = fit_logistic(np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([False, False, True, True]))
    >>> fit.slopes[0] > 0, fit(np.array([[0.5]])).round(3).tolist()
    (True, [0.5])
    """
    values = np.asarray(features, dtype=np.float64)
    centre = values.mean(axis=0) if len(values) else np.zeros(values.shape[1])
    spread = values.std(axis=0) if len(values) else np.zeros(values.shape[1])
    standard = (values - centre) / np.maximum(spread, SMALLEST_SPREAD)
    standard = np.concatenate([standard, np.zeros((2, values.shape[1]))])
    wanted = np.concatenate([outcomes.astype(np.float64), [0.0, 1.0]])
    used = spread > SMALLEST_SPREAD
    while True:
        weights = _newton(standard[:, used], wanted)
        slopes = np.zeros(values.shape[1])
        slopes[used] = weights[1:]
        if (slopes >= 0).all():
            break
        used = used & (slopes >= 0)
    slopes = slopes / np.maximum(spread, SMALLEST_SPREAD)
    return Logistic(float(weights[0] - slopes @ centre), tuple(float(slope) for slope in slopes))


def expected_calibration_error(confidences: Floats, right: NDArray[np.bool_], bins: int = 10) -> float:
    """Return how far confidence is from the share that was right, over ``bins`` of equally many answers.

    The mean over bins, weighted by their answers, of |mean confidence - share right|; NaN without answers.

    Source: Naeini et al. 2015, with bins of equal mass (Nguyen and O'Connor 2015).

    >>> expected_calibration_error(np.array([0.5, 0.5, 1.0, 1.0]), np.array([True, False, True, False]), 2)
    0.25
    """
    if not len(confidences):
        return float("nan")
    order = np.argsort(confidences, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    gaps = [len(part) * abs(float(confidences[part].mean() - right[part].mean())) for part in parts]
    return float(sum(gaps) / len(order))


def _newton(features: Floats, wanted: Floats) -> Floats:
    """Return constant and slopes (1 + F,) of most likelihood less half the ridge, by Newton's method."""
    design = np.concatenate([np.ones((len(features), 1)), features], axis=1)
    ridge = RIDGE * np.eye(design.shape[1])
    ridge[0, 0] = 0.0
    weights = np.zeros(design.shape[1])
    for _ in range(STEPS):
        likely = 1.0 / (1.0 + np.exp(-np.clip(design @ weights, -500.0, 500.0)))
        slope = design.T @ (wanted - likely) - ridge @ weights
        bend = design.T @ (design * (likely * (1.0 - likely))[:, None]) + ridge
        step = np.linalg.solve(bend, slope)
        step *= min(1.0, LONGEST_STEP / max(float(np.abs(step).max()), SMALLEST_SPREAD))
        weights = weights + step
        if np.abs(step).max() < 1e-10:
            break
    return weights
