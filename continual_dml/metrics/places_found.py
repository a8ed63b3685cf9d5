"""The best places found so far by a block of items, and the bounds that what is still to come must reach."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from continual_dml.metrics.ranking import GROUP, descending, undescending

_ITEM_BITS, _ITEM = np.uint64(32), np.uint64(2**32 - 1)
_NO_PLACE = ~_ITEM
"""Of item 0, and after all that are found."""
CAUTION = 2.5
"""How many standard deviations, and places besides, a bound stays below the place that is expected."""


class PlacesFound:
    """What n owners, each of which meets ``items`` others in random order, have found of their best places.

    A place is one whole number of 64 bits: how dissimilar the item is, and which one. Sorted, an owner's
    places are best first, ties in gallery order.

    An owner that needs k places and has met m of N items expects k m / N of the k among them. Its bound is
    set a few places below that: all that is needed will very likely reach it, and little else. How many did
    is counted in the end, so that a bound that was too high is found out.

    Args:
        depths: (n,) how many places each owner needs; 0 for none.
        items: how many others each will have met in the end.

    There are fewer than 2^16 owners: whole numbers of 16 bits are put in order several times as fast.
    """

    def __init__(self, depths: NDArray[np.int64], items: int) -> None:
        self.depths = depths
        self.items = items
        self.met = 0
        self.bounds = np.where(depths > 0, -np.inf, np.inf).astype(np.float32)
        self._tightened = 0
        self._owners: list[NDArray[np.uint16]] = []
        self._places: list[NDArray[np.uint64]] = []

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
        places: NDArray[np.uint64] = descending(similarities) << _ITEM_BITS
        places |= items.astype(np.uint64)
        self._owners.append(owners.astype(np.uint16))
        self._places.append(places)

    def tighten(self) -> None:
        """Raise the bounds, and forget what does not reach them, each time twice as many items were met."""
        if self.met < 2 * self._tightened:
            return
        self._tightened = self.met
        counts, table = self._in_order()
        ranks = self._ranks(self.met)
        known = (counts >= ranks) & (ranks > 0)
        if not known.any():
            return
        worst = table[np.arange(len(table)), np.where(known, ranks - 1, 0)] | _ITEM
        np.copyto(self.bounds, np.maximum(self.bounds, undescending(worst >> _ITEM_BITS)), where=known)
        worst[~known] = _NO_PLACE - np.uint64(1)
        reaching = table <= worst[:, None]
        self._owners = [np.repeat(np.arange(len(table), dtype=np.uint16), reaching.sum(axis=1))]
        self._places = [table[reaching]]

    def ranked(self) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Return which owners (n,) found all that they need, and the items at their places (n, k).

        k is the largest depth; beyond its own depth, or what was found, a row means nothing.
        """
        counts, table = self._in_order()
        needed = (table[:, : int(self.depths.max(initial=0))] & _ITEM).astype(np.int64)
        return counts >= self.depths, needed

    def forget(self) -> None:
        """Let go of all places, once they have been handed on."""
        self._owners, self._places = [], []

    def _in_order(self) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """Return how many places each owner has (n,), and these in order (n, m), each row filled up."""
        owners = np.concatenate([np.empty(0, dtype=np.uint16), *self._owners])
        places = np.concatenate([np.empty(0, dtype=np.uint64), *self._places])
        by_owner = np.argsort(owners, kind="stable")
        owners = owners[by_owner]
        counts = np.bincount(owners, minlength=len(self.depths))
        columns = np.arange(len(owners)) - (np.cumsum(counts) - counts)[owners]
        table = np.full((len(counts), int(counts.max(initial=0))), _NO_PLACE, dtype=np.uint64)
        table[owners, columns] = places[by_owner]
        table.sort(axis=1)
        return counts, table

    def _ranks(self, met: int) -> NDArray[np.int64]:
        share = min(met / self.items, 1.0)
        expected = self.depths * share
        beyond = CAUTION * (np.sqrt(expected * (1.0 - share)) + (share < 1.0))
        return np.asarray(np.minimum(np.ceil(expected + beyond).astype(np.int64), self.depths))
