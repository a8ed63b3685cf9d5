"""Calibrate the threshold below which a query has no match, and how sure an answer is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.metrics.nearest_categories import (
    NO_CATEGORY,
    NearestCategories,
    nearest_categories,
)
from continual_dml.metrics.open_set import accept_rate, accept_rate_of_categories, auroc, threshold_for
from continual_dml.metrics.reliability import Logistic, fit_logistic, wilson_interval
from continual_dml.strategies.acceptance import AcceptanceRule
from continual_dml.strategies.unknown_tests import DIGITS, UnknownTest, Vectors, offsets_of

RECENT_TESTS = 5
SAME_IMAGE = 0.999
"""A cosine that no threshold is above."""
FEWEST_ANSWERS = 20
"""Fewer held-out queries say nothing about how sure an answer is."""


@dataclass(frozen=True, slots=True)
class CategoryFigures:
    """A category of the gallery: its ``images``, how close together they lie, and how reliable its answers.

    ``closeness``: median cosine of an image and the next one of its category, None with a single image;
    ``threshold``: cosine that it takes to match one of them; ``answers``: held-out queries whose nearest item
    is of this category, ``right`` those that are of it, ``interval``: where that share lies (95 %).
    """

    images: int
    closeness: float | None
    offset: float
    threshold: float | None
    answers: int
    right: int
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A rule, what it is expected to do, and what that was found on.

    ``false_accepts``: share of the unknown that reaches the threshold, ``true_accepts``: of the known
    ``queries``; ``auroc``: of known against unknown ones; None where not known. ``unknown``: on how many
    categories the threshold was found, ``simulated`` by leaving a query's category out of the gallery,
    ``never_seen`` as earlier generations saw them.
    """

    target: float
    rule: AcceptanceRule
    false_accepts: float | None
    true_accepts: float | None
    auroc: float | None
    queries: int
    simulated: int
    never_seen: int
    tests: tuple[UnknownTest, ...]
    categories: Mapping[int, CategoryFigures]

    def to_document(self) -> dict[str, Any]:
        """Return everything as plain values, as a report holds it."""
        likely = self.rule.likely
        return {
            "target": self.target,
            "threshold": self.rule.threshold,
            "reason": self.rule.reason,
            "false_accepts": self.false_accepts,
            "true_accepts": self.true_accepts,
            "auroc": self.auroc,
            "queries": self.queries,
            "unknown": {"simulated": self.simulated, "never_seen": self.never_seen},
            "confidence": None if likely is None else {
                "constant": likely.constant, "score": likely.slopes[0], "lead": likely.slopes[1],
            },
            "tests": [test.to_document() for test in self.tests],
            "categories": {
                str(number): {**asdict(one), "interval": list(one.interval)}
                for number, one in self.categories.items()
            },
        }  # fmt: skip


def calibrate(
    queries: Vectors,
    gallery: Vectors,
    target: float,
    tests: Sequence[UnknownTest] = (),
    nearest: NearestCategories | None = None,
) -> Calibration:
    """Find the threshold that lets in at most ``target`` of what is of no category of the gallery.

    Unknown queries are simulated: a held-out query is scored with its own category left out. The networks and
    the head know that category, which makes this too easy; so categories that really had not been seen are
    counted as well: the images of later tasks, as the generations before those saw them. Each category has
    one vote (see :func:`continual_dml.metrics.open_set.threshold_for`).

    Args:
        queries: held-out images of all tasks. Those whose category the gallery has not are left out.
        gallery: the items that are searched.
        target: false-accept rate to stay below; 0 switches the threshold off.
        tests: of earlier generations, oldest first; the most recent five count.
        nearest: the two categories of the gallery nearest to each query, where somebody has looked already.

    Source: docs/methods.md, "No match".
    """
    offsets, closeness = offsets_of(gallery)
    plain = AcceptanceRule(None, None, offsets)
    held = np.isin(queries.categories, gallery.categories)
    own = queries.categories[held]
    if nearest is None:
        nearest = nearest_categories(queries.vectors, gallery.vectors, gallery.categories)
    near = nearest.of(held)
    best, first = near.similarities[:, 0], near.categories[:, 0]
    recent = tuple(tests)[-RECENT_TESTS:]
    simulated, simulated_of = _simulated(plain, near, own)
    unknown, unknown_of = _with_tests(simulated, simulated_of, recent)
    threshold, reason = _threshold(unknown, unknown_of, target)
    level = math.inf if threshold is None else threshold
    offsets = _reachable(offsets, threshold)
    scores = AcceptanceRule(None, None, offsets).scores(best, first)
    return Calibration(
        target=target,
        rule=AcceptanceRule(threshold, reason, offsets, _likely(scores, near, first == own)),
        false_accepts=_share_of(threshold, accept_rate_of_categories(unknown, unknown_of, level)),
        true_accepts=_share_of(threshold, accept_rate(scores, level)),
        auroc=_known(auroc(plain.scores(best, first), unknown)),
        queries=len(own),
        simulated=len(np.unique(simulated_of)),
        never_seen=sum(len(test.scores) for test in recent),
        tests=recent,
        categories=_figures(gallery, closeness, offsets, threshold, first, own),
    )


def _simulated(
    rule: AcceptanceRule, near: NearestCategories, own: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the scores of queries without their own category, and that category, where there is another."""
    place = (near.categories[:, 0] == own).astype(np.int64)
    rows = np.arange(len(own))
    other, similarity = near.categories[rows, place], near.similarities[rows, place]
    there = other != NO_CATEGORY
    return rule.scores(similarity[there], other[there]), own[there]


def _with_tests(
    scores: NDArray[np.float64], categories: NDArray[np.int64], tests: Sequence[UnknownTest]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return simulated scores and those of tests, each category of a test as one more category."""
    votes = [np.array(one) for test in tests for one in test.scores]
    following = int(categories.max(initial=0)) + 1
    numbers = [np.full(len(one), following + place, dtype=np.int64) for place, one in enumerate(votes)]
    return np.concatenate([scores, *votes]), np.concatenate([categories, *numbers])


def _threshold(
    unknown: NDArray[np.float64], categories: NDArray[np.int64], target: float
) -> tuple[float | None, str | None]:
    if not target:
        return None, "switched off (evaluation.false_accepts = 0)"
    threshold = threshold_for(unknown, categories, target)
    if threshold is not None:
        return threshold, None
    needed = max(2, math.ceil(1 / target - 1 - 1e-9))
    return None, (
        f"too few categories: {len(np.unique(categories))} could stand for unknown ones, and it takes "
        f"{needed} to promise at most {target:.3g} of false accepts"
    )


def _reachable(offsets: Mapping[int, float], threshold: float | None) -> dict[int, float]:
    """Return the offsets so that what is as good as the same image matches in every category."""
    if threshold is None:
        return dict(offsets)
    return {name: min(offset, SAME_IMAGE - threshold) for name, offset in offsets.items()}


def _likely(
    scores: NDArray[np.float64], near: NearestCategories, right: NDArray[np.bool_]
) -> Logistic | None:
    if len(right) < FEWEST_ANSWERS:
        return None
    lead = near.similarities[:, 0] - near.similarities[:, 1]
    return fit_logistic(np.stack([scores, lead], axis=1), right)


def _figures(
    gallery: Vectors,
    closeness: Mapping[int, float],
    offsets: Mapping[int, float],
    threshold: float | None,
    answered: NDArray[np.int64],
    own: NDArray[np.int64],
) -> dict[int, CategoryFigures]:
    names, counts = np.unique(gallery.categories, return_counts=True)
    answers, right = (np.searchsorted(names, one) for one in (answered, answered[answered == own]))
    of_each = np.bincount(answers, minlength=len(names))
    right_of_each = np.bincount(right, minlength=len(names))
    figures = {}
    for row, name in enumerate(names.tolist()):
        hits, total = int(right_of_each[row]), int(of_each[row])
        low, high = wilson_interval(hits, total)
        figures[name] = CategoryFigures(
            images=int(counts[row]),
            closeness=None if math.isnan(closeness[name]) else round(closeness[name], DIGITS),
            offset=offsets[name],
            threshold=None if threshold is None else round(threshold + offsets[name], DIGITS),
            answers=total,
            right=hits,
            interval=(round(low, DIGITS), round(high, DIGITS)),
        )
    return figures


def _share_of(threshold: float | None, share: float) -> float | None:
    return None if threshold is None else _known(share)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
