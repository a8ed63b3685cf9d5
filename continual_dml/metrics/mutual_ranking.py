"""Exact rankings of a gallery by its own items: each two are compared once, for both of them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from continual_dml.metrics.places_found import PlacesFound
from continual_dml.metrics.ranking import ranked_items
from continual_dml.similarity import cosine_similarity_into

BLOCK = 1024
"""So many items are compared with as many others at a time; below 2^16."""
BLOCKS_AT_A_TIME = 8
"""So many others a block meets between two looks at its bounds."""
MOST_PLACES = 2**22
"""So many places may be asked for at a time, 32 MiB, or as many bytes as the vectors if that is more."""


def can_rank_mutually(vectors: NDArray[np.float32], depths: NDArray[np.int64]) -> bool:
    """Return whether :func:`mutually_ranked` serves: more than one block, few enough places to be kept."""
    few_enough = int(depths.sum()) <= max(MOST_PLACES, vectors.size // 2)
    return len(vectors) > BLOCK and few_enough


def mutually_ranked(
    vectors: NDArray[np.float32], depths: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield for all items the other items most similar to them, best first, ties in gallery order.

    Half the products of :func:`ranked_items`. The items are met in random order, so that what an item has
    met foretells what is to come (:class:`PlacesFound`); the few whose foretelling failed are ranked by
    :func:`ranked_items`.

    Args:
        vectors: (N, D) unit vectors.
        depths: (N,) how many places each item needs, fewer than N; 0 for none.

    Yields:
        Some items (n,), and their places (n, k), k being the largest depth among them. Beyond its own depth
        a row means nothing.
    """
    order = np.random.default_rng(0).permutation(len(vectors))
    shuffled = torch.from_numpy(np.asarray(vectors, dtype=np.float32)[order])
    starts = range(0, len(order), BLOCK)
    blocks = [_Block.of(slice(start, start + BLOCK), shuffled, order, depths) for start in starts]
    failed = [np.empty(0, dtype=np.int64)]
    with lone_threads() as pool:
        for place, block in enumerate(blocks):
            block.meet_itself()
            for first in range(place + 1, len(blocks), BLOCKS_AT_A_TIME):
                others = blocks[first : first + BLOCKS_AT_A_TIME]
                block.found.met += sum(pool.map(block.meet, others))
                block.found.tighten()
            enough, ranked = block.found.ranked()
            block.found.forget()
            failed.append(block.items[~enough])
            yield block.items[enough], ranked[enough]
    again = np.concatenate(failed)
    again = again[np.argsort(depths[again], kind="stable")]
    for part, ranked in ranked_items(vectors[again], vectors, depths[again], again):
        yield again[part], ranked


@contextmanager
def lone_threads() -> Iterator[ThreadPoolExecutor]:
    """Yield as many threads as torch uses, in each of which it then uses no other.

    Each works on a table that stays in its own cache. Threads that torch had started itself for a product
    would go on spinning for milliseconds after it, in the way of those that go through its result.
    """
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        # The setting is a thread's own, but threads to come start from the last one.
        torch.set_num_threads(threads)


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """``vectors`` (n, D) of ``items`` (n,), and what these found."""

    vectors: torch.Tensor
    items: NDArray[np.int64]
    found: PlacesFound

    @classmethod
    def of(
        cls, rows: slice, vectors: torch.Tensor, order: NDArray[np.int64], depths: NDArray[np.int64]
    ) -> _Block:
        items = order[rows]
        return cls(vectors[rows], items, PlacesFound(depths[items], len(order) - 1))

    def similarities(self, other: _Block) -> NDArray[np.float32]:
        """Return the cosines with all items of another block (n, m)."""
        table = torch.empty(len(self.items), len(other.items))
        return cosine_similarity_into(self.vectors, other.vectors, table).numpy()

    def meet_itself(self) -> None:
        """Let the items find one another."""
        similarities = self.similarities(self)
        np.fill_diagonal(similarities, -np.inf)
        self.found.expect(similarities)
        mine, theirs = _reaching(similarities, self.found.bounds[:, None])
        self.found.keep(mine, similarities[mine, theirs], self.items[theirs])
        self.found.met += len(similarities) - 1
        self.found.tighten()

    def meet(self, other: _Block) -> int:
        """Let the items find those of the other block and be found by them; return how many those are."""
        similarities = self.similarities(other)
        other.found.expect(similarities.T)
        mine, theirs = _reaching(similarities, self.found.bounds[:, None])
        self.found.keep(mine, similarities[mine, theirs], other.items[theirs])
        mine, theirs = _reaching(similarities, other.found.bounds)
        other.found.keep(theirs, similarities[mine, theirs], self.items[mine])
        other.found.met += len(similarities)
        other.found.tighten()
        return len(other.items)


def _reaching(
    similarities: NDArray[np.float32], bounds: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows (m,) and columns (m,) of what reaches its bound."""
    return np.divmod(np.flatnonzero(similarities >= bounds), similarities.shape[1])
