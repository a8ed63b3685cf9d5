"""Filters over the catalogue: a small language, parsed to a typed tree, bound into SQL value by value."""

from __future__ import annotations

from storage.filters.parsing import parse_filter
from storage.filters.tree import Filter

__all__ = ["Filter", "parse_filter"]
