"""What ``cdml benchmark`` was asked for, checked before the first hour is spent."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from continual_dml.errors import SettingsError, StreamError, UnknownChoice
from continual_dml.settings import Settings

if TYPE_CHECKING:
    from continual_dml.strategies.variants import Variant
    from streams.named.presets import StreamPreset


@dataclass(frozen=True, slots=True)
class BenchmarkRequest:
    """What ``cdml benchmark`` was asked for.

    ``stream``: a name or a path; ``data``: where a named stream's data lies; ``methods``: a method named
    twice is run once; ``first_steps``: of the first task, None for as many as in later ones; ``weights``: as
    in ``cdml init``; ``validation``: measure on images held out of the training images instead of the test
    images; ``sizes``: categories per task, None for the stream's own; ``baseline``: one of ``methods``.
    """

    stream: str
    data: Path | None
    methods: tuple[str, ...]
    seeds: int
    directory: Path
    settings: Settings
    first_steps: int | None
    weights: str | None
    validation: bool = False
    best_test_epoch: bool = False
    sizes: tuple[int, ...] | None = None
    baseline: str | None = None


def stream_preset(name: str) -> StreamPreset | None:
    """Return the stream of this name, or None for a folder or an archive that is there.

    Raises:
        UnknownChoice: neither.
        StreamError: a path where nothing is.
    """
    from streams.named.catalogue import STREAMS

    if name in STREAMS:
        return STREAMS[name]
    if Path(name).exists():
        return None
    if os.sep in name:
        raise StreamError(f"there is no folder or archive {name}; check the path")
    raise UnknownChoice("stream", name, STREAMS)


def planned_runs(request: BenchmarkRequest) -> list[Variant]:
    """Return every run that is asked for, seed by seed and in the order of the methods.

    Raises:
        UnknownChoice: a stream, method, setting or baseline that is not there.
        StreamError: a path where nothing is.
        SettingsError: no data, no method, or a change of a setting that all methods share.
    """
    from continual_dml.strategies.variants import parse_variant

    preset = stream_preset(request.stream)
    if preset is not None and preset.needs_data and request.data is None:
        raise SettingsError(f"{preset.name}: say with --data where its data lie; {preset.how_to_get}")
    methods = list(dict.fromkeys(request.methods))
    if not methods:
        raise SettingsError("--methods names no method; name some with commas between them")
    if request.baseline is not None and request.baseline not in methods:
        raise UnknownChoice("baseline", request.baseline, methods)
    runs = []
    for seed in range(request.seeds):
        settings = replace(request.settings, training=replace(request.settings.training, seed=seed))
        runs += [parse_variant(method, settings) for method in methods]
    for run in runs[: len(methods)]:
        _check_shared(run, request.settings)
    return runs


def _check_shared(run: Variant, shared: Settings) -> None:
    """Refuse what would make methods of one table answer different questions, or one run pose as another."""
    if run.settings.model.stored_side_pixels != shared.model.stored_side_pixels:
        raise SettingsError(
            f"'{run.label}': all methods are shown images of one size; choose it with --image-side"
        )
    if run.settings.training.seed != 0:
        raise SettingsError(f"'{run.label}': every method is run with the same seeds; choose with --seeds")
