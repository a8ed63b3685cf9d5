"""Settings from several places, one laid over the other, as nested plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LENGTHS = ("steps", "epochs")
"""Two ways to say one thing: where a stronger place says one of them, a weaker place says neither."""


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return both together; what ``above`` says wins, name for name.

    >>> laid_over({"gate": {"min_recall": 0.5, "max_forgetting": 1}}, {"gate": {"min_recall": 0.1}})
    {'gate': {'min_recall': 0.1, 'max_forgetting': 1}}
    >>> laid_over({"epochs": 3.0, "seed": 1}, {"steps": 50})
    {'seed': 1, 'steps': 50}
    """
    has_length = any(name in above for name in LENGTHS)
    whole = {name: value for name, value in below.items() if not (has_length and name in LENGTHS)}
    for name, value in above.items():
        under = whole.get(name)
        if isinstance(under, Mapping) and isinstance(value, Mapping):
            whole[name] = laid_over(under, value)
        else:
            whole[name] = value
    return whole


def differing(values: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of ``values`` that ``usual`` has not, or has otherwise; no empty sections.

    >>> differing({"gate": {"max_forgetting": 0.25}, "seed": 1}, {"gate": {"max_forgetting": 0.25}})
    {'seed': 1}
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            inner = differing(value, usual.get(name, {}))
            if inner:
                found[name] = inner
        elif name not in usual or usual[name] != value:
            found[name] = value
    return found
