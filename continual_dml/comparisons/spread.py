"""Mean and spread over seeds, and how sure a difference on the same seeds is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
FEWEST_FOR_BOOTSTRAP = 10
RESAMPLES = 10_000
# Student's t, 97.5 % point, for 1 to 8 degrees of freedom (any statistical table).
_T_975 = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060)


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean over seeds and their sample standard deviation (None with one seed); ``seeds`` counts them."""

    mean: float
    deviation: float | None
    seeds: int


@dataclass(frozen=True, slots=True)
class Interval:
    """Mean difference on the same seeds and its 95 % interval.

    ``kind`` is ``t`` or ``bootstrap``; with one common seed there is no interval: the ends and the kind are
    None.
    """

    mean: float
    low: float | None
    high: float | None
    kind: str | None
    seeds: int


def spread(values: Sequence[float]) -> Spread | None:
    """Return mean and sample standard deviation (divided by n - 1), None of nothing.

    >>> spread([0.7, 0.8, 0.9])
    Spread(mean=0.8, deviation=0.1, seeds=3)
    """
    if not values:
        return None
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return Spread(mean, None, 1)
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return Spread(_tidy(mean), _tidy(math.sqrt(variance)), len(values))


def positive_gaps(low: Mapping[int, float], high: Mapping[int, float]) -> dict[int, float]:
    """Return high - low by seed; nothing at all where one is not positive: ratios would mislead."""
    gaps = {seed: high[seed] - value for seed, value in low.items() if seed in high}
    return gaps if all(gap > 0 for gap in gaps.values()) else {}


def gap_closed(
    reached: Mapping[int, float], low: Mapping[int, float], high: Mapping[int, float]
) -> Spread | None:
    """Return the share of the way from ``low`` to ``high`` that was gone, over the seeds that have all three.

    None where no seed has, or where one gap is not positive.

    >>> gap_closed({0: 0.75, 1: 0.5}, low={0: 0.5, 1: 0.25}, high={0: 1.0, 1: 0.75})
    Spread(mean=0.5, deviation=0.0, seeds=2)
    """
    gaps = positive_gaps(low, high)
    return spread([(reached[seed] - low[seed]) / gap for seed, gap in gaps.items() if seed in reached])


def paired_interval(differences: Sequence[float]) -> Interval | None:
    """Return the mean of differences taken seed by seed, with a 95 % interval.

    Below 10 seeds it is Student's t interval, mean -+ t(n-1) s / sqrt(n), from 10 on the percentile bootstrap
    over seeds. Resampling 3 values can give 10 different means only, none beyond the extremes of the three:
    such an interval would promise 95 % and hold far less often. The t interval is wide there because 3 seeds
    know little; it supposes that differences are about normal, which 3 values can neither show nor refute.

    >>> paired_interval([0.01, 0.02, 0.03])  # .02 -+ 4.3027 * .01 / sqrt(3)
    Interval(mean=0.02, low=-0.004842, high=0.044842, kind='t', seeds=3)
    """
    found = spread(differences)
    if found is None:
        return None
    count, mean, deviation = found.seeds, found.mean, found.deviation
    if deviation is None:
        return Interval(mean, None, None, None, count)
    if count < FEWEST_FOR_BOOTSTRAP:
        half = _T_975[count - 2] * deviation / math.sqrt(count)
        return Interval(mean, _tidy(mean - half), _tidy(mean + half), "t", count)
    values = np.asarray(differences, dtype=np.float64)
    chosen = np.random.default_rng(0).integers(count, size=(RESAMPLES, count))
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(values[chosen].mean(axis=1), [tail, 100 - tail])
    return Interval(mean, _tidy(float(low)), _tidy(float(high)), "bootstrap", count)


def _tidy(value: float) -> float:
    """Round far below any meaning, so that the same runs give the same text on every machine."""
    return round(value, 6)
