"""Every option that may come from elsewhere than a flag: its name, its kind, and where a workspace keeps it.

An option called ``some_name`` is the flag ``--some-name``, the variable ``CDML_SOME_NAME`` and, unless it
belongs to one workspace alone, the key ``some_name`` in the user's own file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

PREFIX = "CDML_"
ALWAYS, NEW, TASK = "every command", "a new workspace", "an existing workspace"
Kind = type[str] | type[int] | type[float] | type[bool]


@dataclass(frozen=True, slots=True)
class Option:
    """One option.

    Attributes:
        name: in the user's file, and of the variable after the prefix in small letters.
        kind: of its values.
        counts: ``ALWAYS``; or ``NEW``, when a workspace is made (and in a comparison); or ``TASK``, whenever
            something is learned, embedded or searched.
        place: its path in ``cdml.toml``, None where a workspace keeps none.
        personal: whether it may stand in the user's own file: not where it belongs to one workspace, or is a
            secret.
    """

    name: str
    kind: Kind
    counts: str
    place: str | None = None
    personal: bool = True

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"{PREFIX}{self.name.upper()}"


def _placed(section: str, counts: str, kinds: Mapping[str, Kind]) -> list[Option]:
    return [Option(name, kind, counts, f"{section}.{name}") for name, kind in kinds.items()]


_SELF = "training.self_distillation"
OPTIONS: tuple[Option, ...] = (
    Option("workspace", str, ALWAYS),
    Option("offline", bool, ALWAYS),
    Option("no_progress", bool, ALWAYS),
    Option("token", str, ALWAYS, personal=False),
    Option("weights", str, NEW),
    Option("cohort_weights", str, NEW),
    *_placed("model", NEW, {"backbone": str, "embedding_dim": int}),
    Option("image_side", int, NEW, "model.image_side_pixels"),
    *_placed("model", NEW, {"feature_map": str, "freeze_batch_norm": str, "cohort": int}),
    *_placed("model", NEW, {"cohort_backbones": str, "ensemble": str}),
    Option("flip", bool, NEW, "training.flip"),
    Option("database_url", str, NEW, "workspace.database_url", personal=False),
    *_placed("storage", NEW, {"keep_generations": int, "index": str}),
    *_placed("training", TASK, {"method": str, "head": str, "loss": str, "miner": str}),
    *_placed("training", TASK, {"steps": int, "epochs": float, "learning_rate": float}),
    *_placed("training", TASK, {"batch_categories": int, "images_per_category": int, "averaging": bool}),
    *_placed("training", TASK, {"chunk_images": int, "train_stages": int}),
    *_placed("training", TASK, {"seed": int, "device": str, "precision": str}),
    Option("self_distillation", str, TASK, f"{_SELF}.kind"),
    Option("self_distillation_weight", float, TASK, f"{_SELF}.weight"),
    Option("self_distillation_teacher", str, TASK, f"{_SELF}.teacher"),
    *_placed("streams", TASK, {"query_fraction": float, "queries_per_category": int}),
    *_placed("gate", TASK, {"max_forgetting": float, "min_recall": float, "min_refresh_efficiency": float}),
    Option("refresh", str, TASK),
    Option("reembed_budget", str, TASK),
)
BY_NAME: Mapping[str, Option] = {option.name: option for option in OPTIONS}


def nested(values: Mapping[str, Any], options: Iterable[Option] = OPTIONS) -> dict[str, Any]:
    """Return the values of those ``options`` that a workspace keeps, nested as in ``cdml.toml``.

    >>> nested({"device": "cpu", "self_distillation": "psd", "refresh": "keep"})
    {'training': {'device': 'cpu', 'self_distillation': {'kind': 'psd'}}}
    """
    whole: dict[str, Any] = {}
    for option in options:
        if option.place is None or option.name not in values:
            continue
        *sections, name = option.place.split(".")
        table = whole
        for section in sections:
            table = table.setdefault(section, {})
        table[name] = values[option.name]
    return whole
