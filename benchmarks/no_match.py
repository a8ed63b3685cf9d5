"""Does the no-match threshold hold: on categories that neither network nor head nor gallery has ever seen.

Run ``python -m benchmarks.stream_features glyphs --seed 0`` (and so on) first: that learns a stream and keeps
what every model said of every image. Then ``python -m benchmarks.no_match`` calibrates a threshold after each
task with what a workspace has at that moment, and asks the queries of all later tasks: none should have a
match. Choose on streams made of training images alone (``--validation``), measure on the others.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.documents import add_recording, append_result, read_results, replace_tables
from benchmarks.no_match_tables import FULL, NAIVE, SIMULATED, TWICE, rendered
from benchmarks.stream_features import StreamFeatures, features_file, read_features
from cli.machine import environment
from continual_dml.embedding.extract import Extracted
from continual_dml.metrics.nearest_categories import nearest_categories
from continual_dml.metrics.open_set import accept_rate, auroc
from continual_dml.metrics.ranking import ranked_items
from continual_dml.metrics.reliability import expected_calibration_error
from continual_dml.settings import Settings
from continual_dml.strategies.acceptance import LOOKED_AT, AcceptanceRule
from continual_dml.strategies.no_match import calibrate
from continual_dml.strategies.remembering import first_memory, next_memory
from continual_dml.strategies.state import MemberState
from continual_dml.strategies.unknown_tests import UnknownTest, Vectors, try_on_unknown

RESULTS, DOCUMENT = Path("benchmarks/results/no_match.jsonl"), Path("docs/benchmarks.md")
TABLES = "no-match"
STREAMS, GALLERIES = ("glyphs", "omniglot", "grocery"), ("re-embedded", "carried")
RULES = (NAIVE, SIMULATED, FULL, TWICE)
BINS = (0.0, 0.5, 0.7, 0.9, 0.97, 1.0 + 1e-9)
Figures = dict[str, float]


@dataclass(frozen=True)
class Stage:
    """A stream after some of its tasks.

    ``galleries``: by how old items are refreshed; ``known``: queries of the tasks so far; ``unknown``: of the
    later ones; ``following``: training images of the next task, all as the model sees them now.
    """

    galleries: Mapping[str, Vectors]
    known: Vectors
    unknown: Vectors
    following: Vectors


class LookedAt(NamedTuple):
    """Cosines and categories (Q, K) of the nearest items, best first; ``right`` (Q,): is the first one."""

    similarities: NDArray[np.float32]
    categories: NDArray[np.int64]
    right: NDArray[np.bool_]


def stages(found: StreamFeatures, settings: Settings) -> Iterator[Stage]:
    """Yield the stream after each task but the last, with maps and heads as a workspace has them."""
    memory: MemberState | None = None
    for now in range(found.tasks - 1):
        memory = _learned(memory, found, now, settings)
        seen, later = range(now + 1), range(now + 1, found.tasks)
        labels = np.concatenate([found.train_labels[task] for task in seen])
        carried = [memory.carried(found.train[task][task].astype(np.float16), task) for task in seen]
        galleries = {
            "re-embedded": Vectors(memory.head(_joined(found.train[now], seen)), labels),
            "carried": Vectors(memory.head(np.concatenate(carried)), labels),
        }

        def asked(tasks: range, now: int = now, head: MemberState = memory) -> Vectors:
            names = np.concatenate([found.query_labels[task] for task in tasks])
            return Vectors(head.head(_joined(found.query[now], tasks)), names)

        following = Vectors(memory.head(found.train[now][now + 1]), found.train_labels[now + 1])
        yield Stage(galleries, asked(seen), asked(later), following)


def _learned(memory: MemberState | None, found: StreamFeatures, now: int, settings: Settings) -> MemberState:
    labels, after = found.train_labels[now], _extracted(found.train[now][now])
    if memory is None:
        return first_memory({}, after, labels, settings)
    before = _extracted(found.train[now - 1][now])
    return next_memory(
        memory, {}, (before, after), labels, task=now, generation=now, settings=settings
    )[0]  # fmt: skip


def _extracted(features: NDArray[np.float32]) -> Extracted:
    return Extracted(features, np.zeros((len(features), 1), dtype=np.float32))  # heads use features alone


def _joined(parts: Sequence[NDArray[np.float32]], tasks: range) -> NDArray[np.float32]:
    return np.concatenate([parts[task] for task in tasks])


def naive_threshold(known: Vectors, gallery: Vectors, target: float) -> float:
    """Return the quantile of the cosines that queries have without their own category."""
    near = nearest_categories(known.vectors, gallery.vectors, gallery.categories)
    own_first = (near.categories[:, 0] == known.categories).astype(np.int64)
    others = np.sort(near.similarities[np.arange(len(own_first)), own_first])[::-1]
    return float(np.nextafter(others[int(target * len(others))], np.inf))


def looked_at(queries: Vectors, gallery: Vectors) -> LookedAt:
    """Return the items that a query looks at."""
    depths = np.full(len(queries.vectors), min(LOOKED_AT, len(gallery.vectors)))
    ranked = ranked_items(queries.vectors, gallery.vectors, depths)
    rows = np.concatenate([found for _, found in ranked])
    similarities = np.einsum("qd,qkd->qk", queries.vectors, gallery.vectors[rows])
    categories = gallery.categories[rows]
    return LookedAt(similarities, categories, categories[:, 0] == queries.categories)


def measured(
    found: StreamFeatures, settings: Settings, target: float, kind: str
) -> tuple[dict[str, Any], NDArray[np.float64]]:
    """Return the figures of one stream with one kind of gallery, means over its stages; and confidences.

    The latter (2, n): confidence, and right or not, of every second query, calibrated on the others.
    """
    tests: list[UnknownTest] = []
    rows: dict[str, list[Figures]] = {name: [] for name in RULES}
    reliability: list[NDArray[np.float64]] = []
    for number, stage in enumerate(stages(found, settings)):
        gallery = stage.galleries[kind]
        rules = {
            NAIVE: AcceptanceRule(naive_threshold(stage.known, gallery, target)),
            SIMULATED: calibrate(stage.known, gallery, target).rule,
            FULL: calibrate(stage.known, gallery, target, tests).rule,
            TWICE: calibrate(stage.known, gallery, 2 * target, tests).rule,
        }
        known, unknown = looked_at(stage.known, gallery), looked_at(stage.unknown, gallery)
        for name, rule in rules.items():
            if rule.threshold is not None:
                rows[name].append(_rates(rule, rule.threshold, known, unknown))
        reliability.append(_kept_word(stage.known, gallery, target))
        test = try_on_unknown(stage.following, gallery, rules[FULL], number, number + 1)
        tests += [] if test is None else [test]
    figures = {
        "stages": found.tasks - 1,
        "with_threshold": len(rows[FULL]),
        "rules": {name: _means(one) for name, one in rows.items() if one},
        "worst_stage": max((one["false_accepts"] for one in rows[FULL]), default=None),
    }
    return figures, np.concatenate(reliability, axis=1)


def _rates(rule: AcceptanceRule, threshold: float, known: LookedAt, unknown: LookedAt) -> Figures:
    scores = rule.scores(known.similarities[:, 0], known.categories[:, 0])
    others = rule.scores(unknown.similarities[:, 0], unknown.categories[:, 0])
    return {
        "false_accepts": accept_rate(others, threshold),
        "true_accepts": accept_rate(scores, threshold),
        "right": float(known.right.mean()),
        "accepted_right": float((known.right & (scores >= threshold)).mean()),
        "auroc": auroc(scores, others),
    }


def _kept_word(known: Vectors, gallery: Vectors, target: float) -> NDArray[np.float64]:
    second = np.arange(len(known.categories)) % 2 == 1
    halves = [Vectors(known.vectors[rows], known.categories[rows]) for rows in (~second, second)]
    rule = calibrate(halves[0], gallery, target).rule
    found = looked_at(halves[1], gallery)
    pairs = zip(found.similarities.tolist(), found.categories.tolist(), strict=True)
    confidences = [rule.judge(similarities, categories).confidence for similarities, categories in pairs]
    return np.array([confidences, found.right], dtype=np.float64)


def _means(rows: Sequence[Figures]) -> Figures:
    return {name: statistics.fmean(row[name] for row in rows) for name in rows[0]}


def reliability_of(found: NDArray[np.float64]) -> dict[str, Any]:
    """Return how far confidences (2, n) are from what was right, and what was right in each of the bins."""
    bins = []
    for low, high in pairwise(BINS):
        inside = (found[0] >= low) & (found[0] < high)
        right = found[1][inside]
        bins.append({
            "from": low, "to": min(high, 1.0), "answers": int(inside.sum()),
            "right": round(float(right.mean()), 4) if len(right) else None,
        })  # fmt: skip
    return {"error": round(expected_calibration_error(found[0], found[1] > 0), 4), "bins": bins}


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.no_match", description=__doc__)
    parser.add_argument("--streams", nargs="+", default=STREAMS, choices=STREAMS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--target", type=float, default=0.05)
    parser.add_argument("--validation", action="store_true", help="streams made of training images alone")
    parser.add_argument("--features", type=Path, default=Path("benchmarks/runs/features"))
    add_recording(parser, RESULTS, DOCUMENT)
    options = parser.parse_args(arguments)
    if options.render:
        replace_tables(DOCUMENT, TABLES, rendered(read_results(RESULTS)[-1]))
        return
    streams: dict[str, list[dict[str, Any]]] = {}
    confidences: dict[str, list[NDArray[np.float64]]] = {}
    for stream in options.streams:
        for seed in options.seeds:
            path = features_file(options.features, stream, seed, validation=options.validation)
            if not path.is_file():
                print(f"left out: {path} is not there", file=sys.stderr)
                continue
            found = read_features(path)
            print(path.name, file=sys.stderr, flush=True)
            for kind in GALLERIES:
                key = f"{stream}, {kind}"
                figures, confidence = measured(found, Settings(), options.target, kind)
                streams.setdefault(key, []).append(figures)
                confidences.setdefault(key, []).append(confidence)
    result = {
        "environment": environment(), "target": options.target, "validation": options.validation,
        "streams": streams,
        "reliability": {
            key: reliability_of(np.concatenate(parts, axis=1)) for key, parts in confidences.items()
        },
    }  # fmt: skip
    print(rendered(result))
    if options.record:
        append_result(RESULTS, result)


if __name__ == "__main__":
    main(sys.argv[1:])
