"""The tree that a filter is parsed to. Nothing but these columns, operators and plain values gets through."""

from __future__ import annotations

from dataclasses import dataclass

TEXT_COLUMNS, NUMBER_COLUMNS = ("category", "path", "task"), ("id",)
COLUMNS = (*TEXT_COLUMNS, *NUMBER_COLUMNS)
EQUALITIES, ORDERINGS = ("=", "!="), ("<", "<=", ">", ">=")

Value = str | int


@dataclass(frozen=True, slots=True)
class Comparison:
    """``column operator value``; the operator is one of ``EQUALITIES`` or, for numbers, ``ORDERINGS``."""

    column: str
    operator: str
    value: Value


@dataclass(frozen=True, slots=True)
class Membership:
    """``column in (values)``."""

    column: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """What ``part`` is not true of."""

    part: Filter


@dataclass(frozen=True, slots=True)
class All:
    """What every one of ``parts`` is true of."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Any:
    """What at least one of ``parts`` is true of."""

    parts: tuple[Filter, ...]


Filter = Comparison | Membership | Not | All | Any
