"""A stream to tune on, made of another stream's training images alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import SettingsError
from continual_dml.pixels import JoinedRows, PixelRows
from continual_dml.records import Experience, LabelledImages, LearningStream
from streams.named.row_views import ChosenRows

_FEWEST_LEARNED = 2  # categories of a task: with one alone there is nothing to tell apart


def validation_stream(
    stream: LearningStream,
    seed: int,
    held_out_share: float = 0.25,
    query_share: float = 0.3,
    *,
    contiguous: bool = False,
) -> LearningStream:
    """Return a stream of the same tasks that never shows a query or unseen image of ``stream``.

    In each task a share of the categories is held out altogether: their training images become ``unseen``.
    Each other category's training images are split into train and query. A category that several tasks extend
    is held out in all of them or in none. Labels stay what they are, and no pixels are copied.

    Args:
        stream: whose training images are used.
        seed: of both draws.
        held_out_share: of the categories of a task, rounded; at least two are always left to learn.
        query_share: of the images of a learned category, rounded; at least one where there are two, never
            all.
        contiguous: images come in series (frames of a film, shots of one scene, in their order): take the
            queries from one end of the category, not from among their neighbours.

    Raises:
        SettingsError: a share outside 0 to 1.

    >>> pixels, labels = np.zeros((40, 2, 2, 3), np.uint8), np.repeat(np.arange(4), 10)
    >>> images = LabelledImages(pixels, labels)
    >>> tuning = validation_stream(LearningStream("s", (Experience("t", images, images),)), seed=0)
    >>> len(tuning.tasks[0].train), len(tuning.tasks[0].query), len(tuning.unseen)
    (21, 9, 10)
    """
    for what, share in (("held-out share", held_out_share), ("query share", query_share)):
        if not 0.0 <= share < 1.0:
            raise SettingsError(f"the {what} is {share:g}; it must be at least 0 and below 1")
    random = np.random.default_rng([seed, 0])
    held_out = _held_out(stream, held_out_share, random)
    tasks = []
    unseen = []
    for task in stream.tasks:
        labels = task.train.labels
        apart = np.isin(labels, list(held_out))
        asks = _query_rows(labels, ~apart, query_share, random, contiguous=contiguous)
        train, query = _chosen(task.train, ~apart & ~asks), _chosen(task.train, asks)
        tasks.append(Experience(task.name, train, query))
        if apart.any():
            unseen.append(_chosen(task.train, apart))
    return LearningStream(f"{stream.name} (validation)", tuple(tasks), _joined(unseen))


def _held_out(stream: LearningStream, share: float, random: np.random.Generator) -> set[int]:
    """Return the held-out categories; each is decided in the first task that has it."""
    held_out: set[int] = set()
    decided: set[int] = set()
    for task in stream.tasks:
        present = {int(label) for label in np.unique(task.train.labels)}
        learned_already = len(present & decided - held_out)
        fresh = sorted(present - decided)
        room = len(fresh) - max(_FEWEST_LEARNED - learned_already, 0)
        count = max(min(round(share * len(fresh)), room), 0)
        held_out.update(fresh[position] for position in random.permutation(len(fresh))[:count])
        decided |= present
    return held_out


def _query_rows(
    labels: NDArray[np.int64],
    learned: NDArray[np.bool_],
    share: float,
    random: np.random.Generator,
    *,
    contiguous: bool,
) -> NDArray[np.bool_]:
    """Return which rows (N,) ask."""
    asks = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels[learned]):
        rows = np.flatnonzero(labels == label)
        count = min(max(round(share * len(rows)), 1), len(rows) - 1) if share > 0 else 0
        if contiguous:
            # An end has neighbours on one side only, so that fewer near copies stay among the others.
            start = 0 if random.random() < 0.5 else len(rows) - count
            asks[rows[start : start + count]] = True
        else:
            asks[rows[random.permutation(len(rows))[:count]]] = True
    return asks


def _chosen(images: LabelledImages, mask: NDArray[np.bool_]) -> LabelledImages:
    rows = np.flatnonzero(mask)
    return LabelledImages(ChosenRows(images.pixels, rows), images.labels[rows])


def _joined(parts: Sequence[LabelledImages]) -> LabelledImages | None:
    if not parts:
        return None
    labels = np.concatenate([part.labels for part in parts])
    pixels: list[PixelRows] = [part.pixels for part in parts]
    return LabelledImages(reduce(JoinedRows, pixels), labels)
