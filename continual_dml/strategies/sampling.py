"""Class-balanced batches: every batch holds a few images of each of several categories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray


def balanced_batches(
    labels: NDArray[np.int64],
    steps: int,
    categories_per_batch: int,
    images_per_category: int,
    random: np.random.Generator,
) -> Iterator[NDArray[np.intp]]:
    """Yield ``steps`` arrays of row numbers into ``labels`` (N,).

    Categories are dealt like cards, so that each comes up before any comes up again; a task with fewer
    categories than a batch wants uses all of them. Images of a category are drawn without replacement where
    there are enough of them, else with replacement.
    """
    rows_of = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    width = min(categories_per_batch, len(rows_of))
    deck: list[int] = []
    for _ in range(steps):
        while len(deck) < width:
            left = set(deck)
            deck += [int(c) for c in random.permutation(len(rows_of)) if c not in left]
        chosen, deck = deck[:width], deck[width:]
        yield np.concatenate([_draw(rows_of[c], images_per_category, random) for c in chosen])


def _draw(rows: NDArray[np.intp], count: int, random: np.random.Generator) -> NDArray[np.intp]:
    return random.choice(rows, size=count, replace=len(rows) < count)


def can_be_compared(labels: Iterable[Hashable]) -> bool:
    """Return whether there is something to compare: two categories of at least two images each.

    >>> can_be_compared(["pear", "pear", "plum", "plum", "fig"]), can_be_compared(["pear", "pear", "plum"])
    (True, False)
    """
    return sum(count >= 2 for count in Counter(labels).values()) >= 2


def default_steps(images: int, batch_images: int, epochs: float | None) -> int:
    """Return how many steps a task of ``images`` takes.

    An epoch is as many steps as it takes to see as many images as the task has. Without ``epochs`` it is ten
    of them, but at least 60 and at most 1,000 steps: small tasks need a minimum of movement, large ones have
    seen enough by then.
    """
    if epochs is not None:
        return max(1, round(epochs * images / batch_images))
    return int(np.clip(round(10 * images / batch_images), 60, 1000))
