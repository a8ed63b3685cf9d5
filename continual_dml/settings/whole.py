"""All settings of a workspace as nested plain values, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeVar

from continual_dml.errors import SettingsError, UnknownChoice
from continual_dml.settings.cohort import CohortSettings
from continual_dml.settings.gate import GateSettings
from continual_dml.settings.measuring import EvaluationSettings, StreamSettings
from continual_dml.settings.model import ModelSettings
from continual_dml.settings.objective import ObjectiveWeights
from continual_dml.settings.self_distillation import SelfDistillationSettings
from continual_dml.settings.training import TrainingSettings

_Target = TypeVar("_Target")


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a workspace; one section of ``cdml.toml`` each."""

    model: ModelSettings = field(default_factory=ModelSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    streams: StreamSettings = field(default_factory=StreamSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    gate: GateSettings = field(default_factory=GateSettings)

    def as_dict(self) -> dict[str, Any]:
        """Return nested plain values, ready for JSON or TOML (None values are left out)."""
        return _without_none(asdict(self))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Settings:
        """Build settings from nested plain values.

        Raises:
            SettingsError: a section, a name or a value that cannot be.
        """
        return _build(cls, values, "")


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _without_none(value) if isinstance(value, Mapping) else _plain(value)
        for name, value in values.items()
        if value is not None
    }


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


_SECTIONS: dict[str, type] = {
    "model": ModelSettings,
    "training": TrainingSettings,
    "streams": StreamSettings,
    "evaluation": EvaluationSettings,
    "gate": GateSettings,
    "objective": ObjectiveWeights,
    "cohort": CohortSettings,
    "self_distillation": SelfDistillationSettings,
}


def build_section(target: type[_Target], name: str, value: object, where: str = "") -> _Target:
    """Build the dataclass ``target`` from the plain values of the section ``name`` below ``where``.

    Raises:
        SettingsError: no section, a name that ``target`` has not, or a value that cannot be.
    """
    if not isinstance(value, Mapping):
        path = f"{where}.{name}" if where else name
        raise SettingsError(f"{name} = {value!r}: this is a section; write its settings below [{path}]")
    return _build(target, value, name)


def _several(name: str, value: object, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise SettingsError(f"{name} = {value!r} in [{where}]: this takes several values; write [{value!r}]")
    return tuple(value)


def _build(target: type[_Target], values: Mapping[str, Any], where: str) -> _Target:
    known = {item.name: item for item in fields(target)}  # type: ignore[arg-type]
    arguments: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise UnknownChoice(f"setting in [{where or 'top'}]", name, known)
        kind = str(known[name].type)
        if name in _SECTIONS and kind == _SECTIONS[name].__name__:
            arguments[name] = build_section(_SECTIONS[name], name, value, where)
        elif kind.startswith("tuple"):
            arguments[name] = _several(name, value, where)
        else:
            arguments[name] = value
    try:
        return target(**arguments)
    except TypeError as error:
        raise SettingsError(f"a value in [{where or 'top'}] has the wrong type: {error}") from error
