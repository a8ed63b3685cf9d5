"""What a refresh is worth, measured on what can be embedded anew: the kept queries of earlier tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.metrics.compatibility import find_others, refresh_efficiency
from continual_dml.records import GalleryPart, VectorState
from continual_dml.strategies.carrying import Carrying
from continual_dml.workflows.evaluate import Labelled
from continual_dml.workflows.kept_queries import BornQueries
from continual_dml.workflows.live_model import LiveModel

Vectors = NDArray[np.float32]
SAMPLED_ITEMS = 1000
LARGEST_ERROR = 2.0
"""1 - cosine of opposite vectors."""
FEWEST_KEPT = 2
NOT_EARLIER = -1


@dataclass(frozen=True, slots=True, eq=False)
class KeptImages:
    """Kept queries in three ways; rows agree.

    ``live``: as the live model embeds all of them, with their labels; ``stale``, ``projected`` (n, D):
    earlier ones left as the generation before had them, and carried forward by drift maps; queries of the
    new task are as the live model embeds them. ``earlier`` (n,): which are of earlier tasks. ``predicted``
    (n,): expected 1 - cosine of the projected vectors to the live ones.
    """

    live: Labelled
    stale: Vectors
    projected: Vectors
    earlier: NDArray[np.bool_]
    predicted: NDArray[np.float64]


def kept_images(
    queries: Labelled,
    ids: NDArray[np.int64],
    born: Sequence[BornQueries],
    model: LiveModel,
    before: Carrying,
    new_task: int | None,
) -> KeptImages | None:
    """Return the kept queries in three ways; None where there are too few whose birth is known.

    Args:
        queries: (Q, D) of all tasks, embedded by the live model.
        ids: (Q,) their numbers.
        born: earlier queries as they were born.
        model: the live model.
        before: how the generation before carried stored features.
        new_task: task whose queries are new; None where none is.
    """
    row_of = {int(item_id): row for row, item_id in enumerate(ids)}
    stale, projected = queries.vectors.copy(), queries.vectors.copy()
    births = np.full(len(ids), NOT_EARLIER)
    features: NDArray[np.float16] | None = None
    for group in born:
        there, birth = group.only(ids), group.birth_generation
        rows = np.array([row_of[int(item_id)] for item_id in there.ids], dtype=np.int64)
        stale[rows] = before.vectors(there.features, birth, exact=False)
        projected[rows] = model.carrying.vectors(there.features, birth, exact=False)
        if features is None:
            features = np.zeros((len(ids), there.features.shape[1]), dtype=np.float16)
        features[rows], births[rows] = there.features, birth
    earlier = births != NOT_EARLIER
    if features is None or earlier.sum() < FEWEST_KEPT:
        return None
    predicted = np.zeros(len(ids))
    predicted[earlier] = model.carrying.errors(features[earlier], births[earlier])
    known = earlier if new_task is None else earlier | (queries.tasks == new_task)
    live = Labelled(queries.vectors[known], queries.categories[known], queries.tasks[known])
    return KeptImages(live, stale[known], projected[known], earlier[known], predicted[known])


def compare_galleries(kept: KeptImages) -> dict[str, Any]:
    """Return Recall@1 of each earlier task's kept images in three galleries, and what follows from it."""
    live, labels = kept.live.vectors, kept.live.categories
    galleries = {"stale": kept.stale, "projected": kept.projected, "reembedded": live}
    found = {name: find_others(live, vectors) for name, vectors in galleries.items()}
    tasks = sorted(set(kept.live.tasks[kept.earlier].tolist()))
    recalls = {
        name: [one.recall_at_1(labels, kept.earlier & (kept.live.tasks == task)) for task in tasks]
        for name, one in found.items()
    }
    return {
        "kept_images": int(kept.earlier.sum()),
        "tasks": tasks,
        **recalls,
        "refresh_efficiency": refresh_efficiency(
            recalls["stale"], recalls["projected"], recalls["reembedded"]
        ),
        "overlap_at_10": {
            name: found[name].overlap(found["reembedded"], kept.earlier) for name in ("stale", "projected")
        },
    }


@dataclass(frozen=True, slots=True)
class ErrorScale:
    """How the predicted error of the kept images compares with the measured one.

    ``predicted``, ``measured``: means of 1 - cosine; ``rank_correlation``: Spearman's, None where nothing
    varies.
    """

    predicted: float
    measured: float
    rank_correlation: float | None

    @property
    def factor(self) -> float:
        """What to multiply a predicted error with."""
        return self.measured / self.predicted if self.predicted > 0 else 1.0


def error_scale(kept: KeptImages) -> ErrorScale:
    """Compare the predicted error of carried vectors with the one that embedding anew shows."""
    rows = kept.earlier
    cosines = np.einsum("nd,nd->n", kept.projected[rows], kept.live.vectors[rows]).astype(np.float64)
    measured, predicted = np.maximum(1.0 - cosines, 0.0), kept.predicted[rows]
    return ErrorScale(float(predicted.mean()), float(measured.mean()), _rank_correlation(predicted, measured))


def item_errors(
    parts: Sequence[GalleryPart], model: LiveModel, scale: ErrorScale | None
) -> list[Mapping[str, float] | None]:
    """Return for each part mean and 90th percentile of its items' estimated error; None where not known.

    Of up to 1000 items, evenly spread over each part. Stale vectors are in another space: nothing is said of
    them.
    """
    estimated = {} if scale is None else _estimated(parts, model, scale)
    found: list[Mapping[str, float] | None] = []
    for part in parts:
        errors = estimated.get(part.birth_generation)
        if part.state is VectorState.FRESH:
            found.append({"mean": 0.0, "p90": 0.0})
        elif errors is None:
            found.append(None)
        else:
            found.append({"mean": float(errors.mean()), "p90": float(np.quantile(errors, 0.9))})
    return found


def _estimated(
    parts: Sequence[GalleryPart], model: LiveModel, scale: ErrorScale
) -> dict[int, NDArray[np.float64]]:
    """Return by birth generation the estimated errors of a sample of its carried items, all in one go."""
    carried = [part for part in parts if part.state is VectorState.PROJECTED]
    if not carried:
        return {}
    most = max(SAMPLED_ITEMS // len(parts), 1)
    features = [part.features[_evenly(len(part.ids), most)] for part in carried]
    births = np.repeat([part.birth_generation for part in carried], [len(rows) for rows in features])
    estimated = model.carrying.errors(np.concatenate(features), births)
    errors = np.minimum(scale.factor * estimated, LARGEST_ERROR)
    return {part.birth_generation: errors[births == part.birth_generation] for part in carried}


def _evenly(size: int, most: int) -> NDArray[np.int64]:
    return np.linspace(0, size - 1, min(size, most)).astype(np.int64)


def _rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    ranks = [np.argsort(np.argsort(values)).astype(np.float64) for values in (first, second)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
