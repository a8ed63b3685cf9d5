"""Changes of single settings, written as text: ``objective.mutual=0``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from continual_dml.errors import SettingsError, UnknownChoice
from continual_dml.settings.whole import Settings

INSIDE_TRAINING = ("objective", "cohort", "self_distillation")
Value = bool | int | float | str | tuple[str, ...] | tuple[int, ...]
SECTIONS = ("model", "training", *INSIDE_TRAINING, "streams", "evaluation", "gate")


@dataclass(frozen=True, slots=True)
class Change:
    """One change: a section of the settings, the name of a setting in it, and its new value as text."""

    section: str
    name: str
    text: str


def parse_change(text: str) -> Change | None:
    """Return the change that ``section.name=value`` asks for, or None where the text is none.

    >>> parse_change("objective.mutual = 0")
    Change(section='objective', name='mutual', text='0')
    >>> parse_change("mutual=0") is None
    True
    """
    place, equals, value = text.partition("=")
    section, dot, name = place.strip().partition(".")
    return Change(section, name.strip(), value.strip()) if equals and dot else None


def with_change(settings: Settings, change: Change, sections: Sequence[str] = SECTIONS) -> Settings:
    """Return ``settings`` with one of them changed.

    Numbers are written as usual, switches as yes or no, several values with slashes between them, and
    ``none`` is no value where a setting may have none.

    Args:
        settings: that the change is made to.
        change: what to change.
        sections: that may be changed.

    Raises:
        UnknownChoice: a section or a name that is not there.
        SettingsError: a value that cannot work.

    >>> with_change(Settings(), Change("evaluation", "recall_at", "1/10")).evaluation.recall_at
    (1, 10)
    """
    section = change.section
    if section not in sections:
        raise UnknownChoice("section", section, sections)
    if section in INSIDE_TRAINING:
        inner = _with(getattr(settings.training, section), change)
        return replace(settings, training=replace(settings.training, **{section: inner}))
    return replace(settings, **{section: _with(getattr(settings, section), change)})


def _with(target: Any, change: Change) -> Any:  # noqa: ANN401 - a settings dataclass
    simple = {item.name: item for item in fields(target) if not is_dataclass(getattr(target, item.name))}
    if change.name not in simple:
        raise UnknownChoice(f"setting in [{change.section}]", change.name, simple)
    value = _value(str(simple[change.name].type), f"{change.section}.{change.name}", change.text)
    return replace(target, **{change.name: value})


def _value(kind: str, where: str, text: str) -> Value | None:
    """Return ``text`` as a value of the annotated ``kind``."""
    if text == "none" and kind.startswith("tuple"):
        return ()
    if text == "none" and "None" in kind:
        return None
    wanted, read = next((wanted, read) for start, wanted, read in _READERS if kind.startswith(start))
    try:
        return read(text)
    except (ValueError, KeyError) as error:
        raise SettingsError(f"{where}={text}: this is no {wanted}") from error


def _switch(text: str) -> bool:
    return {"yes": True, "no": False, "true": True, "false": False}[text.lower()]


def _whole_numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("/"))


def _texts(text: str) -> tuple[str, ...]:
    return tuple(text.split("/"))


_READERS: tuple[tuple[str, str, Callable[[str], Value]], ...] = (
    ("bool", "bool", _switch),
    ("int", "int", int),
    ("float", "float", float),
    ("tuple[int", "list such as 1/2/4", _whole_numbers),
    ("tuple", "list", _texts),
    ("", "text", str),
)
