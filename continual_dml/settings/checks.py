"""Checks of single values, shared by all settings."""

from __future__ import annotations

import math

from continual_dml.errors import SettingsError, UnknownChoice


def choice(what: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise UnknownChoice unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise UnknownChoice(what, value, choices)


def between(what: str, value: float, low: float, high: float) -> None:
    """Raise SettingsError unless ``value`` is finite and lies between ``low`` and ``high``."""
    if not (math.isfinite(value) and low <= value <= high):
        raise SettingsError(f"{what} is {value:g}; it must lie between {low:g} and {high:g}")


def whole(what: str, value: float, low: int, high: int) -> None:
    """Raise SettingsError unless ``value`` is a whole number between ``low`` and ``high``."""
    between(what, value, low, high)
    if not isinstance(value, int):
        raise SettingsError(f"{what} is {value:g}; it must be a whole number")
