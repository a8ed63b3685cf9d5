"""The best items of a gallery whose vectors are computed: all are compared coarsely, few of them exactly.

Since ``<M p + t, q> = <p, M'q> + <t, q>``, a query is carried to the features, once for each birth
generation, and compared with them where they lie. That is done in float32, and how far it can be wrong is
known, so an item is dropped only where ``k`` others are certainly better. What is left is compared in
float64, the same way, and what is still left by its very vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import CorruptIndex
from storage.index.half_products import inner_products
from storage.index.viewed_items import NORM_TOLERANCE, ViewedItems

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
_SINGLE, _TINY = 2.0**-24, 2.0**-126
_QUERIES, _FIRST_ROWS, _BLOCK_NUMBERS, _ROWS = 256, 4096, 1 << 22, 4096


def nearest(
    parts: Sequence[ViewedItems], queries: NDArray[np.float32], k: int
) -> tuple[NDArray[np.float32], Numbers]:
    """Return similarities and ids (Q, k) of the best items, the smaller id first on ties.

    Args:
        parts: the gallery, with at least ``k`` items.
        queries: (Q, D), finite.
        k: how many, at least 1.

    Raises:
        CorruptIndex: a feature is not finite.
    """
    similarities = np.empty((len(queries), k), dtype=np.float32)
    ids = np.empty((len(queries), k), dtype=np.int64)
    for start in range(0, len(queries), _QUERIES):
        search = _Search(parts, queries[start : start + _QUERIES], k)
        for row, (found, named) in enumerate(search.run(), start):
            order = np.lexsort((named, -found))[:k]
            if len(order) < k:
                raise CorruptIndex("a stored feature or its norm is not finite: run `cdml verify`")
            similarities[row], ids[row] = found[order], named[order]
    return similarities, ids


@dataclass(frozen=True, slots=True, eq=False)
class _Carried:
    """Queries of unit length as one part's features see them, and how far a similarity may be wrong.

    ``weights`` (Q, F) and ``constants`` (Q,): ``(<p, weights> + constants) / norm`` is the similarity.
    ``scales`` (Q,): nothing of that numerator is larger. ``doubt``: how far the numerator may be wrong in
    float64.
    """

    weights: Floats
    constants: Floats
    scales: Floats
    doubt: float

    @classmethod
    def of(cls, part: ViewedItems, units: Floats) -> _Carried:
        matrix, offset, doubt = part.view.matrix, part.view.offset, part.doubt
        # Not by a matrix product: threads that wait for each other are slower at so little.
        weights, constants = np.einsum("qd,df->qf", units, matrix), np.einsum("qd,d->q", units, offset)
        scales = np.linalg.norm(weights, axis=1) * part.longest + np.abs(constants)
        return cls(weights, constants, np.maximum(scales, doubt), doubt)

    def single_doubt(self) -> Floats:
        """Return how far (Q,) a numerator in float32 may be wrong, over ``scales``."""
        width = self.weights.shape[1]
        return np.asarray(1.01 * (width + 16) * _SINGLE + self.doubt / self.scales)


class _Pool:
    """Items that may be among the ``k`` best of one query, and between which bounds their similarity lies."""

    def __init__(self, k: int) -> None:
        self._k = k
        self.least = -np.inf  # k items are at least so similar
        self.items: Numbers = np.empty(0, dtype=np.int64)
        self._lower: Floats = np.empty(0)
        self._upper: Floats = np.empty(0)

    def add(self, items: Numbers, lower: Floats, upper: Floats) -> None:
        """Take items in, and drop all that cannot be among the best any more."""
        if not len(items):
            return
        self.items = np.concatenate([self.items, items])
        self._lower, self._upper = (
            np.concatenate(pair) for pair in ((self._lower, lower), (self._upper, upper))
        )
        if len(self.items) >= self._k:
            place = len(self.items) - self._k
            self.least = max(self.least, float(np.partition(self._lower, place)[place]))
        kept = self._upper >= self.least
        self.items, self._lower, self._upper = self.items[kept], self._lower[kept], self._upper[kept]


class _Search:
    """One group of queries; items are numbered through all parts."""

    def __init__(self, parts: Sequence[ViewedItems], queries: NDArray[np.float32], k: int) -> None:
        self._parts = parts
        self._starts = np.cumsum([0, *(len(part) for part in parts)])
        self._queries = queries
        self._k = k
        wide = queries.astype(np.float64)
        lengths = np.linalg.norm(wide, axis=1)
        self._units = wide / np.where(lengths > 0.0, lengths, 1.0)[:, None]
        dimension = queries.shape[1]
        underflow = dimension * np.minimum(_TINY / np.maximum(lengths, _TINY), 1.0)
        self._slack = 1.01 * ((dimension + 8) * _SINGLE + NORM_TOLERANCE) + 2 * underflow
        """How far (Q,) numbers in float32, of vectors, norms and queries, may move a similarity."""

    def run(self) -> list[tuple[NDArray[np.float32], Numbers]]:
        """Return for each query similarities and ids of what may be among the best."""
        pools = [_Pool(self._k) for _ in self._queries]
        for number, part in enumerate(self._parts):
            self._compare_coarsely(part, int(self._starts[number]), pools)
        return self._exact([pool.items for pool in self._refined(pools)])

    def _compare_coarsely(self, part: ViewedItems, first: int, pools: Sequence[_Pool]) -> None:
        if not len(part):
            return
        carried = _Carried.of(part, self._units)
        doubt = carried.single_doubt()
        full = max(1, _BLOCK_NUMBERS // len(pools))
        weights = (carried.weights / carried.scales[:, None]).astype(np.float32)
        raised = (carried.constants / carried.scales + doubt).astype(np.float32)
        start = 0
        while start < len(part):
            known = all(np.isfinite(pool.least) for pool in pools)
            size = full if known else min(full, max(_FIRST_ROWS, 2 * self._k))
            stop = min(len(part), start + size)
            upper = inner_products(part.features, part.places(start, stop), weights)
            upper += raised[:, None]
            upper *= (1 / part.norms[start:stop])[None]
            for row, pool in enumerate(pools):
                scale, slack = carried.scales[row], self._slack[row]
                limit = np.nextafter(np.float32((pool.least - slack) / scale), np.float32(-np.inf))
                chosen = np.flatnonzero(upper[row] >= limit)
                highest = scale * upper[row, chosen].astype(np.float64) + slack
                width = 2 * (doubt[row] * scale / part.norms[start:stop][chosen] + slack)
                pool.add(chosen + (first + start), highest - width, highest)
            start = stop

    def _refined(self, pools: Sequence[_Pool]) -> list[_Pool]:
        """Return what is left of each pool once the same is computed in float64."""
        left = [_Pool(self._k) for _ in pools]
        for number, part in enumerate(self._parts):
            carried = _Carried.of(part, self._units)
            for row, pool in enumerate(pools):
                for items in self._chunks(pool.items, number):
                    local = items - self._starts[number]
                    wide = part.features_of(local).astype(np.float64)
                    norms = part.norms[local].astype(np.float64)
                    along = np.einsum("nf,f->n", wide, carried.weights[row])
                    similarities = (along + carried.constants[row]) / norms
                    width = carried.doubt / norms + self._slack[row]
                    left[row].add(items, similarities - width, similarities + width)
        return left

    def _exact(self, chosen: Sequence[Numbers]) -> list[tuple[NDArray[np.float32], Numbers]]:
        """Return similarities and ids of the chosen items (n,) of each query, by their vectors."""
        found = [(np.empty(len(items), dtype=np.float32), np.empty_like(items)) for items in chosen]
        ordered = [np.sort(items) for items in chosen]
        every = np.unique(np.concatenate(ordered))
        for number, part in enumerate(self._parts):
            for items in self._chunks(every, number):
                local = items - self._starts[number]
                vectors = part.view(part.features_of(local))
                for row, wanted in enumerate(ordered):
                    begin, end = np.searchsorted(wanted, [items[0], items[-1] + 1])
                    places = np.searchsorted(items, wanted[begin:end])
                    similarities, ids = found[row]
                    # Each by itself, as other indexes do it, so that equal vectors get equal similarities.
                    np.einsum("nd,d->n", vectors[places], self._queries[row], out=similarities[begin:end])
                    ids[begin:end] = part.ids[local[places]]
        return found

    def _chunks(self, items: Numbers, number: int) -> list[Numbers]:
        """Return those of the items (n,) that are of one part, a bounded number at a time."""
        begin, end = self._starts[number], self._starts[number + 1]
        own = items[(items >= begin) & (items < end)]
        return [own[start : start + _ROWS] for start in range(0, len(own), _ROWS)]
