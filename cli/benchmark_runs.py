"""The runs of a benchmark on the disk: one JSON file for each method and seed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from continual_dml.errors import CdmlError, SettingsError

if TYPE_CHECKING:
    from cli.benchmark_request import BenchmarkRequest
    from continual_dml.strategies.variants import Variant

RUNS, LOCK = "runs", "LOCK"
_LONGEST_NAME = 160  # file systems stop at 255 bytes, and a file being written has a longer name


@contextmanager
def claimed(directory: Path) -> Iterator[None]:
    """Make the folder if need be, and be the only benchmark that writes to it.

    Raises:
        CdmlError: the folder cannot be made.
        WorkspaceLocked: another benchmark is at work there.
    """
    from storage.writer_lock import WriterLock

    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise CdmlError(f"cannot make the folder {directory}: {reason}; choose another with -o") from error
    with WriterLock(directory / LOCK):
        yield


def run_file(directory: Path, variant: Variant) -> Path:
    """Return where a run is kept."""
    name = re.sub(r"[^\w.+=-]", "_", variant.label)
    if len(name) > _LONGEST_NAME or name != variant.label:  # two labels must not share a file
        name = f"{name[:_LONGEST_NAME]}-{hashlib.sha256(variant.label.encode()).hexdigest()[:8]}"
    return directory / RUNS / f"{name}-seed{variant.settings.training.seed}.json"


def read_run(path: Path) -> dict[str, Any]:
    """Return the document of a finished run.

    Raises:
        CdmlError: the file is missing or is no such document.
    """
    from continual_dml.comparisons.documents import check_runs

    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CdmlError(
            f"cannot read {path}: {error.strerror or error}; correct this and run again"
        ) from error
    except ValueError as error:
        raise CdmlError(f"{path} is damaged ({error}); delete it to have it run again") from error
    try:
        check_runs([document if isinstance(document, dict) else {}])
    except CdmlError as error:
        raise CdmlError(f"{path}: {error}; delete the file to have it run again") from error
    run: dict[str, Any] = document
    return run


def is_done(request: BenchmarkRequest, variant: Variant) -> bool:
    """Return whether this run is there already.

    Raises:
        SettingsError: it is, but answers another question.
        CdmlError: its file is damaged.
    """
    path = run_file(request.directory, variant)
    if not path.exists():
        return False
    difference = _difference(read_run(path).get("asked"), asked(request, variant))
    if difference is not None:
        raise SettingsError(
            f"{path} was run with another {difference}; choose another folder with -o, or delete that file"
        )
    return True


def asked(request: BenchmarkRequest, variant: Variant) -> dict[str, Any]:
    """Return all that decides a run's result, to find out whether a file answers the same question.

    With the weights that the method's own recipe gives its terms: a run of a recipe that has changed since is
    not the same method any more.
    """
    from continual_dml.strategies.recipes import recipe_for

    document = {
        "stream": _where(request.stream),
        "sizes": request.sizes,
        "validation": request.validation,
        "best_test_epoch": request.best_test_epoch,
        "first_steps": request.first_steps,
        "weights": Path(request.weights or "imagenet").name,
        "settings": {name: one for name, one in variant.settings.as_dict().items() if name != "gate"},
        "recipe": asdict(recipe_for(variant.settings.training)),
    }
    plain: dict[str, Any] = json.loads(json.dumps(document))
    return plain


def _where(stream: str) -> str:
    from streams.named.catalogue import STREAMS

    return stream if stream in STREAMS else str(Path(stream).resolve())


def _difference(earlier: object, now: Mapping[str, Any]) -> str | None:
    """Return the first setting that differs and both its values, or None where all is the same."""
    from continual_dml.comparisons.documents import flattened

    if not isinstance(earlier, Mapping):
        return "version of cdml"
    before, after = dict(flattened(earlier)), dict(flattened(now))
    for name in dict.fromkeys((*after, *before)):
        if before.get(name) != after.get(name):
            shown = name.removeprefix("settings.")
            return f"{shown} ({_shown(before.get(name))}, now {_shown(after.get(name))})"
    return None


def _shown(value: object) -> str:
    return "none" if value is None else str(value)
