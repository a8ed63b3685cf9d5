"""Run documents before they are compared: they must belong together, and what differs is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from continual_dml.errors import CdmlError

RUN_KIND = "benchmark-run"
RUN_SCHEMA_VERSION = 1
_KEYS = ("stream", "method", "label", "seed", "replays", "seconds", "bytes_kept", "readouts")
_ABSENT = object()

RunDocument = Mapping[str, Any]


def check_runs(runs: Sequence[RunDocument]) -> None:
    """Find out before any mean is taken that runs cannot be compared.

    Raises:
        CdmlError: no run, a document that is no run of this version, two streams, or one run given twice.
    """
    if not runs:
        raise CdmlError("there is no benchmark run to compare; run at least one method with one seed")
    for run in runs:
        _check_one(run)
    streams = {_stream_key(run) for run in runs}
    if len(streams) > 1:
        shown = " and ".join(f"'{name}' with {count} tasks" for name, count, _ in sorted(streams)[:2])
        raise CdmlError(f"runs of different streams cannot be compared: {shown}; keep them in two folders")
    seen: set[tuple[str, int]] = set()
    for run in runs:
        if (run["label"], run["seed"]) in seen:
            raise CdmlError(
                f"there are two runs of '{run['label']}' with seed {run['seed']}; remove one of them"
            )
        seen.add((run["label"], run["seed"]))


def _check_one(run: RunDocument) -> None:
    if run.get("kind") != RUN_KIND or run.get("schema_version") != RUN_SCHEMA_VERSION:
        raise CdmlError(
            f"a document of kind {run.get('kind')!r}, version {run.get('schema_version')!r}, is no "
            f"benchmark run of version {RUN_SCHEMA_VERSION}; run this method and seed again"
        )
    missing = [key for key in _KEYS if key not in run]
    if missing:
        raise CdmlError(f"a benchmark run has no '{missing[0]}'; run this method and seed again")


def _stream_key(run: RunDocument) -> tuple[str, int, bool]:
    stream = run["stream"]
    return stream["name"], len(stream["tasks"]), bool(stream.get("validation", False))


def notes_on(runs: Sequence[RunDocument]) -> list[str]:
    """Return one sentence for each way in which the runs of a table are not alike, or are not test scores."""
    notes = []
    if runs[0]["stream"].get("validation"):
        notes.append(
            "Scored on categories held out of training to choose settings with, not on the test set."
        )
    environments = [dict(flattened(run.get("environment") or {})) for run in runs]
    differing = _differing(environments)
    if differing:
        notes.append(
            f"The runs come from different environments ({', '.join(differing)}); do not compare times."
        )
    labels = list(dict.fromkeys(run["label"] for run in runs))
    most = {run["seed"] for run in runs}
    for label in labels:
        own = [run for run in runs if run["label"] == label]
        settings = _differing([dict(flattened(run.get("settings") or {})) for run in own])
        if settings:
            notes.append(f"Settings differ between the seeds of {label}: {', '.join(settings)}.")
        seeds = {run["seed"] for run in own}
        if seeds != most:
            notes.append(f"{label} has no run for seed {', '.join(map(str, sorted(most - seeds)))}.")
    return notes


def flattened(nested: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested mappings under dotted names; seeds, which differ by design, are left out.

    >>> dict(flattened({"training": {"steps": 80, "seed": 1}, "side": 64}))
    {'training.steps': 80, 'side': 64}
    """
    for name, value in nested.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{name}.")
        elif name != "seed":
            yield f"{prefix}{name}", value


def _differing(mappings: Sequence[Mapping[str, Any]]) -> list[str]:
    names = dict.fromkeys(name for mapping in mappings for name in mapping)
    first = mappings[0]
    return [
        name
        for name in names
        if any(mapping.get(name, _ABSENT) != first.get(name, _ABSENT) for mapping in mappings[1:])
    ]
