"""What rounds say: a median, and where it would lie if other rounds had been drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

DRAWS = 4000


class Interval(NamedTuple):
    """A median and the 95 % interval of it."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{shown(self.median)} ({shown(self.low)} to {shown(self.high)})"


def bootstrap(values: Sequence[float]) -> Interval:
    """Return the median of ``values`` and the percentile interval of medians of as many drawn from them.

    >>> bootstrap([2.0, 2.0, 2.0])
    Interval(median=2.0, low=2.0, high=2.0)
    """
    rounds = np.asarray(values, dtype=np.float64)
    drawn = np.random.default_rng(0).integers(0, len(rounds), (DRAWS, len(rounds)))
    low, high = np.quantile(np.median(rounds[drawn], axis=1), (0.025, 0.975))
    return Interval(float(np.median(rounds)), float(low), float(high))


def shown(value: float) -> str:
    """Return a number with three digits that count.

    >>> [shown(value) for value in (0.01234, 1.2345, 45.67, 1234.5)]
    ['0.0123', '1.23', '45.7', '1,234']
    """
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
