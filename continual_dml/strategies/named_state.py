"""States as flat mappings whose names say where each part belongs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

_Value = TypeVar("_Value")


def below(state: Mapping[str, _Value], prefix: str) -> dict[str, _Value]:
    """Return what stands under ``prefix``, without it.

    >>> below({"peers.0.weight": 1, "views": 2}, "peers.")
    {'0.weight': 1}
    """
    return {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
