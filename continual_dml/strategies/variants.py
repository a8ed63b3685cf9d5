"""Methods to compare, written as a name and changes of settings: ``finetune+training.loss=triplet``."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from continual_dml.errors import SettingsError, UnknownChoice
from continual_dml.settings import METHODS, Settings

PLUGIN_REFERENCES = ("ewc", "si", "mas")
REPLAYING = ("replay", "joint")
COMPARED = (*METHODS, *PLUGIN_REFERENCES, *REPLAYING)
_INSIDE_TRAINING = ("objective", "cohort", "self_distillation")


@dataclass(frozen=True, slots=True)
class Variant:
    """One method to compare: its name, the label that tables show, and the settings it runs with."""

    method: str
    label: str
    settings: Settings

    @property
    def replays(self) -> bool:
        """Whether it keeps images of earlier tasks, which breaks the no-replay rule."""
        return self.method in REPLAYING


def parse_variant(text: str, settings: Settings) -> Variant:
    """Return the variant that ``text`` names: a method, then ``+section.name=value`` as often as wanted.

    Sections are ``model``, ``training``, ``objective``, ``cohort`` and ``self_distillation``.

    Args:
        text: for instance ``mutual-distillation+objective.mutual=0+model.cohort=2``.
        settings: that the changes are made to.

    Raises:
        UnknownChoice: a method, section or name that is not there.
        SettingsError: a change that is none, or a value that cannot work.

    >>> parse_variant("finetune+training.loss=triplet", Settings()).settings.training.loss
    'triplet'
    """
    method, *changes = text.strip().split("+")
    if method not in COMPARED:
        raise UnknownChoice("method", method, COMPARED)
    own = method if method in METHODS else "finetune"
    changed = _changed(settings, "training", "method", own)
    for change in changes:
        name, equals, value = change.partition("=")
        section, dot, field = name.strip().partition(".")
        if not (equals and dot):
            raise SettingsError(
                f"'{change}' in '{text}' is no change of a setting; write +section.name=value, "
                "for instance +objective.mutual=0"
            )
        changed = _changed(changed, section, field, value.strip())
    return Variant(method, text.strip(), changed)


def _changed(settings: Settings, section: str, name: str, text: str) -> Settings:
    if section in _INSIDE_TRAINING:
        inner = _with(getattr(settings.training, section), section, name, text)
        return replace(settings, training=replace(settings.training, **{section: inner}))
    if section == "training":
        return replace(settings, training=_with(settings.training, section, name, text))
    if section == "model":
        return replace(settings, model=_with(settings.model, section, name, text))
    raise UnknownChoice("section", section, ("model", "training", *_INSIDE_TRAINING))


def _with(target: Any, section: str, name: str, text: str) -> Any:  # noqa: ANN401 - a settings dataclass
    simple = [item.name for item in fields(target) if not is_dataclass(getattr(target, item.name))]
    if name not in simple:
        raise UnknownChoice(f"setting in [{section}]", name, simple)
    kind = next(str(item.type) for item in fields(target) if item.name == name)
    return replace(target, **{name: _value(kind, f"{section}.{name}", text)})


def _value(kind: str, where: str, text: str) -> bool | int | float | str | tuple[str, ...] | None:
    if text == "none" and "None" in kind:
        return None
    try:
        if kind.startswith("bool"):
            return {"yes": True, "no": False, "true": True, "false": False}[text.lower()]
        if kind.startswith("int"):
            return int(text)
        if kind.startswith("float"):
            return float(text)
    except (ValueError, KeyError) as error:
        raise SettingsError(f"{where}={text}: this is no {kind.split(' ', maxsplit=1)[0]}") from error
    return tuple(text.split("/")) if kind.startswith("tuple") else text
