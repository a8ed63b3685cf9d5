"""The best places found so far by a block of items, and the bounds that what is still to come must reach."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from continual_dml.metrics.ranking import GROUP, descending, undescending

MOST_OWNERS = 2**12
MOST_ITEMS = 2**20
_OWNER_BITS, _ITEM_BITS = np.uint64(52), np.uint64(20)
_ITEM, _CODE = np.uint64(MOST_ITEMS - 1), np.uint64(2**32 - 1)
CAUTION = 2.5
"""How many standard deviations, and places besides, a bound stays below the place that is expected."""


class PlacesFound:
    """What n owners, each of which meets ``items`` others in random order, have found of their best places.

    A place is one whole number of 64 bits: whose it is (12), how dissimilar (32), and which item it is (20).
    Sorted, these are each owner's places, best first, ties in gallery order.

    An owner that needs k places and has met m of N items expects k m / N of the k among them. Its bound is
    set a few places below that: all that is needed will very likely reach it, and little else. How many did
    is counted in the end, so that a bound that was too high is found out.

    Args:
        depths: (n,) how many places each owner needs; 0 for none.
        items: how many others each will have met in the end.
    """

    def __init__(self, depths: NDArray[np.int64], items: int) -> None:
        self.depths = depths
        self.items = items
        self.met = 0
        self.bounds = np.where(depths > 0, -np.inf, np.inf).astype(np.float32)
        self._tightened = 0
        self._kept = np.empty(0, dtype=np.uint64)
        self._fresh: list[NDArray[np.uint64]] = []

    def expect(self, similarities: NDArray[np.float32]) -> None:
        """Set the first bounds, by similarities (n, m) to the first items; owners that met some have them.

        The r-th largest of the maxima of disjoint groups is a number that r entries reach.
        """
        rows, columns = similarities.shape
        groups = columns // GROUP
        if self.met or not groups:
            return
        maxima = similarities[:, : GROUP * groups].reshape(rows, GROUP, groups).max(axis=1)
        maxima.sort(axis=1)
        ranks = self._ranks(columns)
        bounds = maxima[np.arange(rows), np.clip(groups - ranks, 0, groups - 1)]
        np.copyto(self.bounds, bounds, where=(ranks <= groups) & (self.depths > 0))

    def keep(
        self, owners: NDArray[np.int64], similarities: NDArray[np.float32], items: NDArray[np.int64]
    ) -> None:
        """Keep places of ``owners`` (m,): the similarities (m,) that reached the bounds, and items (m,)."""
        keys: NDArray[np.uint64] = owners.astype(np.uint64) << _OWNER_BITS
        keys |= descending(similarities) << _ITEM_BITS
        keys |= items.astype(np.uint64)
        self._fresh.append(keys)

    def tighten(self) -> None:
        """Raise the bounds, and forget what does not reach them, each time twice as many items were met."""
        if self.met < 2 * self._tightened:
            return
        self._tightened = self.met
        keys, owners, counts, starts = self._in_order()
        self._kept, self._fresh = keys, []
        ranks = self._ranks(self.met)
        known = (counts >= ranks) & (ranks > 0)
        if not known.any():
            return
        worst = keys[np.where(known, starts + ranks - 1, 0)] >> _ITEM_BITS & _CODE
        np.copyto(self.bounds, np.maximum(self.bounds, undescending(worst)), where=known)
        self._kept = keys[(keys >> _ITEM_BITS & _CODE) <= np.where(known, worst, _CODE)[owners]]

    def ranked(self) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Return which owners (n,) found all that they need, and the items at their places (n, k).

        k is the largest depth; beyond its own depth a row means nothing.
        """
        keys, owners, counts, starts = self._in_order()
        places = np.arange(len(keys)) - starts[owners]
        table = np.zeros((len(self.depths), int(self.depths.max(initial=0))), dtype=np.int64)
        needed = places < table.shape[1]
        table[owners[needed], places[needed]] = (keys[needed] & _ITEM).astype(np.int64)
        return counts >= self.depths, table

    def forget(self) -> None:
        """Let go of all places, once they have been handed on."""
        self._kept, self._fresh = self._kept[:0].copy(), []

    def _in_order(
        self,
    ) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return all places in order, whose they are, how many each owner has, and where its first is."""
        keys = np.concatenate([self._kept, *self._fresh])
        keys.sort()
        owners = (keys >> _OWNER_BITS).astype(np.int64)
        counts = np.bincount(owners, minlength=len(self.depths))
        return keys, owners, counts, np.cumsum(counts) - counts

    def _ranks(self, met: int) -> NDArray[np.int64]:
        share = min(met / self.items, 1.0)
        expected = self.depths * share
        beyond = CAUTION * (np.sqrt(expected * (1.0 - share)) + (share < 1.0))
        return np.asarray(np.minimum(np.ceil(expected + beyond).astype(np.int64), self.depths))
