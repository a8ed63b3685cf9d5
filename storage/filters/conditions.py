"""A filter's tree as a condition of SQL; every value is bound, no text of a user becomes a statement."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, not_, or_
from sqlalchemy.orm import InstrumentedAttribute

from storage.catalog.rows import storable
from storage.catalog.tables import Category, Item, Task
from storage.filters.tree import All, Comparison, Filter, Membership, Not, Value

_COLUMNS: Mapping[str, InstrumentedAttribute[Any]] = {
    "category": Category.name,
    "id": Item.item_id,
    "path": Item.path,
    "task": Task.name,
}
_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def condition(found: Filter) -> ColumnElement[bool]:
    """Return the condition over the tables ``item``, ``category`` and ``task``, joined."""
    if isinstance(found, Comparison):
        compared: ColumnElement[bool] = _OPERATORS[found.operator](
            _COLUMNS[found.column], _bound(found.value)
        )
        return compared
    if isinstance(found, Membership):
        return _COLUMNS[found.column].in_([_bound(value) for value in found.values])
    if isinstance(found, Not):
        return not_(condition(found.part))
    joined = and_ if isinstance(found, All) else or_
    return joined(*map(condition, found.parts))


def _bound(value: Value) -> Value:
    return storable(value) if isinstance(value, str) else value
