"""What rounds say: a median, and where it would lie if other rounds had been drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000


class Interval(NamedTuple):
    """A median and the 95 % interval of it."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{shown(self.median)} ({shown(self.low)} to {shown(self.high)})"


def median_with_interval(values: Sequence[float] | NDArray[np.float64]) -> Interval:
    """Return the median and its 95 % interval from the percentiles of resampled medians, seeded.

    >>> median_with_interval([1.5, 1.5, 1.5])
    Interval(median=1.5, low=1.5, high=1.5)
    """
    rounds = np.asarray(values, dtype=np.float64)
    drawn = np.random.default_rng(0).choice(rounds, size=(RESAMPLES, len(rounds)))
    low, high = np.percentile(np.median(drawn, axis=1), (2.5, 97.5))
    return Interval(float(np.median(rounds)), float(low), float(high))


def shown(value: float) -> str:
    """Return a number with three digits that count.

    >>> [shown(value) for value in (0.01234, 1.2345, 45.67, 1234.5)]
    ['0.0123', '1.23', '45.7', '1,234']
    """
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
