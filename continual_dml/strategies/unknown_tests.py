"""What a generation says of images of categories that it has never seen: those of the task after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from continual_dml.metrics.nearest_categories import closeness_of_categories, nearest_categories
from continual_dml.metrics.open_set import accept_rate_of_categories
from continual_dml.strategies.acceptance import AcceptanceRule

CLOSENESS_COUNTS = 0.5
"""By how much of its closeness beyond the usual a category's threshold is raised."""
MOST_CATEGORIES, MOST_IMAGES = 200, 10
DIGITS = 6


class Vectors(NamedTuple):
    """Unit vectors (N, D) and their categories (N,)."""

    vectors: NDArray[np.float32]
    categories: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class UnknownTest:
    """What one generation said of images whose categories it had never seen: those of the next task.

    ``generation``: that was tested; ``task_id``: that brought the images; ``threshold``: that the generation
    had, and ``accepted``: the share of ``images`` that reached it, the mean over ``categories``; None where
    it had none. ``scores``: of up to 10 images of up to 200 of the categories.
    """

    generation: int
    task_id: int
    images: int
    categories: int
    threshold: float | None
    accepted: float | None
    scores: tuple[tuple[float, ...], ...]

    def to_document(self) -> dict[str, Any]:
        """Return the test as plain values, as a report holds it."""
        return {**asdict(self), "scores": [list(one) for one in self.scores]}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> UnknownTest:
        """Return the test that a report holds."""
        return cls(**{**document, "scores": tuple(tuple(one) for one in document["scores"])})


def try_on_unknown(
    images: Vectors, gallery: Vectors, rule: AcceptanceRule, generation: int, task_id: int
) -> UnknownTest | None:
    """Return what a generation says of images of categories that its gallery has not; None without any.

    Args:
        images: of the next task, as the generation embeds them.
        gallery: of the generation.
        rule: of the generation.
        generation: its number.
        task_id: that brought the images.
    """
    rows = _some_of_each(images.categories, ~np.isin(images.categories, gallery.categories))
    if not len(rows) or not len(gallery.vectors):
        return None
    own = images.categories[rows]
    near = nearest_categories(images.vectors[rows], gallery.vectors, gallery.categories)
    first, best = near.categories[:, 0], near.similarities[:, 0]
    offsets, _ = offsets_of(gallery)
    scores = AcceptanceRule(None, None, offsets).scores(best, first)
    accepted = None
    if rule.threshold is not None:
        accepted = accept_rate_of_categories(rule.scores(best, first), own, rule.threshold)
    return UnknownTest(
        generation, task_id, len(rows), len(np.unique(own)), rule.threshold, accepted,
        tuple(tuple(round(float(s), DIGITS) for s in scores[own == one]) for one in np.unique(own)),
    )  # fmt: skip


def offsets_of(gallery: Vectors) -> tuple[dict[int, float], dict[int, float]]:
    """Return by category by how much its threshold is raised, and how close together its items lie."""
    names, values, typical = closeness_of_categories(gallery.vectors, gallery.categories)
    beyond = np.where(np.isnan(values), 0.0, CLOSENESS_COUNTS * (values - typical))
    offsets = {int(name): round(float(offset), DIGITS) for name, offset in zip(names, beyond, strict=True)}
    closeness = {int(name): float(value) for name, value in zip(names, values, strict=True)}
    return offsets, closeness


def _some_of_each(categories: NDArray[np.int64], wanted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return rows of ``wanted`` (N,): up to 10 of each of up to 200 categories, evenly spread."""
    rows = np.flatnonzero(wanted)
    names = np.unique(categories[rows])
    of_each = [rows[categories[rows] == name] for name in _evenly(names, MOST_CATEGORIES)]
    return np.concatenate([rows[:0], *(_evenly(one, MOST_IMAGES) for one in of_each)])


def _evenly(values: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    return values[np.linspace(0, len(values) - 1, min(len(values), most)).astype(np.int64)]
