"""Settings from four places, the strongest first: flags, ``CDML_*`` variables, ``cdml.toml``, defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from continual_dml.errors import SettingsError, UnknownChoice
from continual_dml.settings import DEVICES, NO_LIMIT, REFRESH_MODES, RefreshBudget, Settings
from continual_dml.settings.changes import parse_change, with_change

_LENGTHS = ("steps", "epochs")
_TRAINING = (
    *_LENGTHS,
    *("method", "head", "loss", "miner", "seed", "device", "learning_rate", "precision"),
    *("batch_categories", "images_per_category", "averaging"),
)
_SELF_DISTILLATION = {
    "self_distillation": "kind",
    "self_distillation_weight": "weight",
    "self_distillation_teacher": "teacher",
}
_GATE = ("max_forgetting", "min_recall", "min_refresh_efficiency")
NOT_IN_AN_INGEST = {
    "model": "the network stays as `cdml init` made it; make another workspace for another network"
}
NOT_IN_A_BENCHMARK = {
    "training.method": "use --methods",
    "training.seed": "use --seeds",
    "model.pretrained": "use --weights",
    "gate": "a comparison publishes nothing that a gate could keep back",
}
_DEFAULT_REFRESH = "auto"
_BUDGET = re.compile(r"(\d+(?:\.\d+)?(?=[smh])|\d+)([smh]?)")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Environment(BaseSettings):
    """The ``CDML_*`` variables; a field that is None was not set."""

    model_config = SettingsConfigDict(env_prefix="CDML_", env_ignore_empty=True, extra="ignore")

    backbone: str | None = None
    weights: str | None = None
    embedding_dim: int | None = None
    image_side: int | None = None
    database_url: str | None = None
    keep_generations: int | None = None
    index: str | None = None
    flip: bool | None = None
    feature_map: str | None = None
    freeze_batch_norm: str | None = None
    cohort: int | None = None
    cohort_backbones: str | None = None
    cohort_weights: str | None = None
    ensemble: str | None = None
    method: str | None = None
    head: str | None = None
    loss: str | None = None
    miner: str | None = None
    epochs: float | None = None
    steps: int | None = None
    seed: int | None = None
    device: str | None = None
    refresh: str | None = None
    reembed_budget: str | None = None
    learning_rate: float | None = None
    precision: str | None = None
    query_fraction: float | None = None
    queries_per_category: int | None = None
    self_distillation: str | None = None
    self_distillation_weight: float | None = None
    self_distillation_teacher: str | None = None
    batch_categories: int | None = None
    images_per_category: int | None = None
    averaging: bool | None = None
    max_forgetting: float | None = None
    min_recall: float | None = None
    min_refresh_efficiency: float | None = None


def read_environment() -> dict[str, Any]:
    """Return the ``CDML_*`` variables that are set, by option name.

    Raises:
        SettingsError: a value of the wrong kind.
    """
    try:
        return Environment().model_dump(exclude_none=True)
    except ValidationError as error:
        first = error.errors()[0]
        name = f"CDML_{str(first['loc'][0]).upper()}"
        raise SettingsError(
            f"{name}={first['input']!r}: {first['msg'].lower()}; correct or unset it"
        ) from error


def merged_options(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are set, flags over variables; a flag for steps silences CDML_EPOCHS."""
    given = {name: value for name, value in flags.items() if value is not None}
    environment = read_environment()
    if any(name in given for name in _LENGTHS):
        environment = {name: value for name, value in environment.items() if name not in _LENGTHS}
    return {**environment, **given}


def task_settings(stored: Settings, options: Mapping[str, Any]) -> Settings:
    """Return the workspace's settings with the options of one ingest over them.

    Raises:
        SettingsError: a value that cannot work.
    """
    training = {name: options[name] for name in _TRAINING if name in options}
    if any(name in training for name in _LENGTHS):
        training = {**dict.fromkeys(_LENGTHS), **training}
    inner = {field: options[name] for name, field in _SELF_DISTILLATION.items() if name in options}
    if inner:
        training["self_distillation"] = replace(stored.training.self_distillation, **inner)
    streams = {name: options[name] for name in ("query_fraction", "queries_per_category") if name in options}
    gate = {name: options[name] for name in _GATE if name in options}
    return replace(
        stored,
        training=replace(stored.training, **training),
        streams=replace(stored.streams, **streams),
        gate=replace(stored.gate, **gate),
    )


def with_changes(settings: Settings, changes: Sequence[str], refused: Mapping[str, str]) -> Settings:
    """Return the settings with the changes that ``--set`` asks for.

    Args:
        settings: that the changes are made to.
        changes: each ``section.name=value``.
        refused: why a section, or one setting of it, cannot be changed here.

    Raises:
        SettingsError: a change that is none, is refused, or has a value that cannot work.
    """
    for text in changes:
        change = parse_change(text)
        if change is None:
            raise SettingsError(f"--set {text}: write section.name=value, for instance objective.mutual=0")
        reason = refused.get(change.section) or refused.get(f"{change.section}.{change.name}")
        if reason:
            raise SettingsError(f"--set {text}: {reason}")
        settings = with_change(settings, change)
    return settings


def refresh_mode(options: Mapping[str, Any], modes: Sequence[str] = REFRESH_MODES) -> str:
    """Return what to do with earlier tasks' items, one of ``modes``.

    Raises:
        UnknownChoice: no such mode.
    """
    mode = str(options.get("refresh", _DEFAULT_REFRESH))
    if mode not in modes:
        raise UnknownChoice("refresh", mode, modes)
    return mode


def reembed_budget(options: Mapping[str, Any]) -> RefreshBudget:
    """Return how much may be embedded anew.

    Raises:
        SettingsError: neither a number of images nor a time.

    >>> reembed_budget({"reembed_budget": "500"}).items, reembed_budget({"reembed_budget": "10m"}).seconds
    (500, 600.0)
    """
    text = options.get("reembed_budget")
    if text is None:
        return NO_LIMIT
    found = _BUDGET.fullmatch(str(text).strip())
    if found is None:
        raise SettingsError(
            f"--reembed-budget {text}: write a number of images such as 5000, or a time such as 90s or 10m"
        )
    amount, unit = float(found[1]), found[2]
    return RefreshBudget(seconds=amount * _SECONDS[unit]) if unit else RefreshBudget(items=int(amount))


def workspace_settings(options: Mapping[str, Any]) -> Settings:
    """Return the settings of a new workspace, from the options of ``cdml init``.

    Raises:
        SettingsError: a value that cannot work.
    """
    names = {"image_side": "image_side_pixels"}
    chosen = (
        "backbone",
        "embedding_dim",
        "image_side",
        "feature_map",
        "freeze_batch_norm",
        "cohort",
        "ensemble",
    )
    model = {names.get(name, name): options[name] for name in chosen if name in options}
    if "cohort_backbones" in options:
        model["cohort_backbones"] = listed("--cohort-backbones", options["cohort_backbones"])
    defaults = Settings()
    with_model = replace(
        defaults, model=replace(defaults.model, pretrained=options.get("weights") != "none", **model)
    )
    if "flip" in options:
        with_model = replace(with_model, training=replace(with_model.training, flip=options["flip"]))
    return with_model


_SMALL_PICTURES = {"glyphs", "omniglot"}


def benchmark_settings(stream: str, options: Mapping[str, Any]) -> Settings:
    """Return the settings of a comparison: as a new workspace's, with the options of an ingest over them.

    Streams of written characters have a small network from scratch as their default, and no flips, because a
    mirrored character is another one; photos are shown at 128 pixels. Recall is taken at the K that papers
    report for a named stream.

    Raises:
        SettingsError: a value that cannot work, or a change that is made another way.
    """
    from streams.named.catalogue import STREAMS

    small = stream in _SMALL_PICTURES
    own = {"backbone": "conv4", "weights": "none", "image_side": 32, "flip": False, "learning_rate": 3e-3}
    chosen = {**(own if small else {"image_side": 128}), **options}
    settings = task_settings(workspace_settings(chosen), chosen)
    if stream in STREAMS:
        evaluation = replace(settings.evaluation, recall_at=STREAMS[stream].recall_at)
        settings = replace(settings, evaluation=evaluation)
    return with_changes(settings, chosen.get("changes", ()), NOT_IN_A_BENCHMARK)


def listed(option: str, text: str) -> tuple[str, ...]:
    """Return texts written with commas between them.

    Raises:
        SettingsError: one of them is empty.
    """
    parts = tuple(part.strip() for part in text.split(","))
    if not all(parts):
        raise SettingsError(f"{option} '{text}': a name is missing; write names with commas between them")
    return parts


def numbers(option: str, text: str) -> tuple[int, ...]:
    """Return whole numbers written with commas between them.

    Raises:
        SettingsError: something else.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise SettingsError(f"{option} {text}: write whole numbers with commas, such as 41,10,10") from error


def compute_device(options: Mapping[str, Any]) -> str:
    """Return where to compute.

    Raises:
        UnknownChoice: no such device.
    """
    device = str(options.get("device", "auto"))
    if device not in DEVICES:
        raise UnknownChoice("device", device, DEVICES)
    return device
