"""Cells of the benchmark's tables: means, spreads, differences, amounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.render.amounts import UNKNOWN, size
from cli.shell import printable

if TYPE_CHECKING:
    from continual_dml.comparisons.rows import MethodRow
    from continual_dml.comparisons.spread import Interval, Spread


def name_of(row: MethodRow) -> str:
    """Return a method's label; one that replays always says so."""
    return f"{printable(row.label)} (replays)" if row.replays else printable(row.label)


def spread_cell(found: Spread | None, digits: int = 3) -> str:
    """Return mean and spread.

    >>> from continual_dml.comparisons.spread import Spread
    >>> spread_cell(Spread(0.5, 0.01, 3)), spread_cell(Spread(0.5, None, 1)), spread_cell(None)
    ('0.500 ± 0.010', '0.500', '-')
    """
    if found is None:
        return UNKNOWN
    mean = _number(found.mean, digits)
    return mean if found.deviation is None else f"{mean} ± {found.deviation:.{digits}f}"


def interval_cell(found: Interval | None) -> str:
    """Return a difference and its interval, with signs.

    >>> from continual_dml.comparisons.spread import Interval
    >>> interval_cell(Interval(0.02, -0.005, 0.045, "t", 3))
    '+0.020 [-0.005, +0.045]'
    >>> interval_cell(Interval(0.02, None, None, None, 1))
    '+0.020'
    """
    if found is None:
        return UNKNOWN
    if found.low is None or found.high is None:
        return _signed(found.mean)
    return f"{_signed(found.mean)} [{_signed(found.low)}, {_signed(found.high)}]"


def size_cell(found: Spread | None) -> str:
    """Return the mean of a number of bytes."""
    return UNKNOWN if found is None else size(round(found.mean))


def _signed(value: float) -> str:
    text = f"{value:+.3f}"
    return "0.000" if float(text) == 0 else text


def _number(value: float, digits: int) -> str:
    """Return the number, without the sign of a zero that only rounding made negative."""
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text
