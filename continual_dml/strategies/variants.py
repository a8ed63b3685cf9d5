"""Methods to compare, written as a name and changes of settings: ``finetune+training.loss=triplet``."""

from __future__ import annotations

from dataclasses import dataclass

from continual_dml.errors import SettingsError, UnknownChoice
from continual_dml.settings import METHODS, Settings
from continual_dml.settings.changes import INSIDE_TRAINING, Change, parse_change, with_change

PLUGIN_REFERENCES = ("ewc", "si", "mas")
REPLAYING = ("replay", "joint")
COMPARED = (*METHODS, *PLUGIN_REFERENCES, *REPLAYING)
_SECTIONS = ("model", "training", *INSIDE_TRAINING)


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
    method, *changes = (part.strip() for part in text.split("+"))
    if method not in COMPARED:
        raise UnknownChoice("method", method, COMPARED)
    own = method if method in METHODS else "finetune"
    changed = with_change(settings, Change("training", "method", own))
    for part in changes:
        change = parse_change(part)
        if change is None:
            raise SettingsError(
                f"'{part}' in '{text}' is no change of a setting; write +section.name=value, "
                "for instance +objective.mutual=0"
            )
        if (change.section, change.name) == ("training", "method"):
            raise SettingsError(
                f"'{part}' in '{text}' replaces the method; begin with '{change.text}' instead"
            )
        changed = with_change(changed, change, _SECTIONS)
    return Variant(method, text.strip(), changed)
