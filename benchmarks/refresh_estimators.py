"""How well old items retrieve whose images are gone, by each estimator of drift.

``python -m benchmarks.refresh_estimators grocery glyphs omniglot --record`` replays statistics, head and
drift from the features that ``benchmarks.stream_features`` kept, and measures Recall@1 in the merged gallery
after each later task, mean over tasks: with old vectors left as they were at birth (``stale``), with all
images embedded anew (``reembedded``), with old features carried by each estimator, and by the default one
fitted to distorted views of the new task's images as well. Then run it with ``--render``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.documents import append_result, read_results, replace_tables
from benchmarks.refresh_tables import ON_VIEWS, REEMBEDDED, STALE, render
from benchmarks.replayed_memory import Floats, Gallery, replayed
from benchmarks.stream_features import Features, features_file, read_features, stream_settings
from cli.machine import environment
from continual_dml.memory.drift_estimators import DEFAULT, ESTIMATORS
from continual_dml.memory.drift_estimators.protocol import Carrier, DriftEstimator, Ints

RESULTS, DOCUMENT = Path("benchmarks/results/refresh_estimators.jsonl"), Path("docs/benchmarks.md")
TABLES = "refresh estimators"
STREAMS = ("grocery", "glyphs", "omniglot")
BYTES_OF_A_NUMBER = 4  # drift maps are kept in single precision


@dataclass(frozen=True)
class Kind:
    """What a kind of gallery finds after each later task, and what fitting each task's drift took."""

    recall: list[float]
    fit_seconds: list[float] = field(default_factory=list)
    kept_bytes: list[int] = field(default_factory=list)


def carried(estimate: DriftEstimator, projected: Callable[[DriftEstimator], list[float]]) -> Kind:
    """Return the figures of items ``projected`` by an estimator, with its seconds and bytes for each task."""
    seconds: list[float] = []
    kept: list[int] = []

    def watched(before: Features | Floats, after: Features | Floats, labels: Ints) -> Carrier:
        begin = time.perf_counter()
        carrier = estimate(before, after, labels)
        seconds.append(round(time.perf_counter() - begin, 4))
        kept.append(BYTES_OF_A_NUMBER * carrier.kept)
        return carrier

    return Kind(projected(watched), seconds, kept)


def measured(gallery: Gallery) -> dict[str, Kind]:
    """Return the figures of each kind of gallery; views only where there are any."""
    kinds = {STALE: Kind(gallery.stale()), REEMBEDDED: Kind(gallery.reembedded())}
    for name, estimate in ESTIMATORS.items():
        kinds[name] = carried(estimate, gallery.projected)
    if gallery.features.views:
        kinds[ON_VIEWS] = carried(ESTIMATORS[DEFAULT], partial(gallery.projected, on_views=True))
    return kinds


def _measured(options: argparse.Namespace, stream: str, seed: int) -> dict[str, Any]:
    path = features_file(options.features, stream, seed, validation=options.validation)
    if not path.is_file():
        sys.exit(f"no features at {path}: make them with benchmarks.stream_features, as {DOCUMENT} says")
    features = read_features(path)
    kinds = measured(Gallery(features, replayed(features, stream_settings(stream, seed, None))))
    for name, kind in kinds.items():
        print(f"{stream} {seed} {name:16} {' '.join(f'{recall:.3f}' for recall in kind.recall)}", flush=True)
    found = {name: asdict(kind) for name, kind in kinds.items()}
    return {"environment": environment(), "stream": stream, "seed": seed, "kinds": found}


def main(arguments: Sequence[str]) -> None:
    """Measure and print, or write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.refresh_estimators", description=__doc__)
    parser.add_argument("streams", nargs="*", metavar="stream", help=f"of {', '.join(STREAMS)}; all of them")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--validation", action="store_true", help="streams made of training images alone")
    parser.add_argument("--features", type=Path, default=Path("benchmarks/runs/features"))
    parser.add_argument("--record", action="store_true", help=f"add the results to {RESULTS}")
    parser.add_argument("--render", type=Path, nargs="?", const=DOCUMENT, help="put the tables there")
    options = parser.parse_args(arguments)
    if options.render:
        replace_tables(options.render, TABLES, render(read_results(RESULTS)))
        return
    if options.record and options.validation:
        parser.error("validation streams are for choosing, the table is of the streams themselves")
    for stream in options.streams or STREAMS:
        for seed in options.seeds:
            found = _measured(options, stream, seed)
            if options.record:
                append_result(RESULTS, found)


if __name__ == "__main__":
    main(sys.argv[1:])
