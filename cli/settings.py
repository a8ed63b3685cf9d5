"""Settings from four places, the strongest first: flags, ``CDML_*`` variables, ``cdml.toml``, defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from continual_dml.errors import SettingsError, UnknownChoice
from continual_dml.settings import DEVICES, REFRESH_MODES, Settings

_LENGTHS = ("steps", "epochs")
_TRAINING = (*_LENGTHS, "method", "head", "loss", "miner", "seed", "device", "learning_rate", "precision")
_DEFAULT_REFRESH = "auto"


class Environment(BaseSettings):
    """The ``CDML_*`` variables; a field that is None was not set."""

    model_config = SettingsConfigDict(env_prefix="CDML_", env_ignore_empty=True, extra="ignore")

    backbone: str | None = None
    weights: str | None = None
    embedding_dim: int | None = None
    image_side: int | None = None
    database_url: str | None = None
    flip: bool | None = None
    feature_map: str | None = None
    freeze_batch_norm: str | None = None
    method: str | None = None
    head: str | None = None
    loss: str | None = None
    miner: str | None = None
    epochs: float | None = None
    steps: int | None = None
    seed: int | None = None
    device: str | None = None
    refresh: str | None = None
    learning_rate: float | None = None
    precision: str | None = None
    query_fraction: float | None = None
    queries_per_category: int | None = None


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
    streams = {name: options[name] for name in ("query_fraction", "queries_per_category") if name in options}
    return replace(
        stored, training=replace(stored.training, **training), streams=replace(stored.streams, **streams)
    )


def refresh_mode(options: Mapping[str, Any]) -> str:
    """Return what to do with earlier tasks' items.

    Raises:
        UnknownChoice: no such mode.
    """
    mode = str(options.get("refresh", _DEFAULT_REFRESH))
    if mode not in REFRESH_MODES:
        raise UnknownChoice("refresh", mode, REFRESH_MODES)
    return mode


def workspace_settings(options: Mapping[str, Any]) -> Settings:
    """Return the settings of a new workspace, from the options of ``cdml init``.

    Raises:
        SettingsError: a value that cannot work.
    """
    names = {"image_side": "image_side_pixels"}
    chosen = ("backbone", "embedding_dim", "image_side", "feature_map", "freeze_batch_norm")
    model = {names.get(name, name): options[name] for name in chosen if name in options}
    defaults = Settings()
    with_model = replace(
        defaults, model=replace(defaults.model, pretrained=options.get("weights") != "none", **model)
    )
    if "flip" in options:
        with_model = replace(with_model, training=replace(with_model.training, flip=options["flip"]))
    return with_model


def compute_device(options: Mapping[str, Any]) -> str:
    """Return where to compute.

    Raises:
        UnknownChoice: no such device.
    """
    device = str(options.get("device", "auto"))
    if device not in DEVICES:
        raise UnknownChoice("device", device, DEVICES)
    return device
