"""Exact rankings of a gallery, cut to the places that the metrics look at, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import numpy as np
import torch
from numpy.typing import NDArray

from continual_dml.similarity import cosine_similarity_into, hide_own_column

SIMILARITIES_PER_CHUNK = 2**21  # 8 MiB of float32: about what a processor's cache holds
FEWEST_QUERIES = (
    64  # per chunk, or the product waits for the gallery to be read; no more memory than a gallery
)
SHARED_FROM = 2**23
"""Tables of so many similarities are ranked by several threads, a share of the rows each."""
GROUP = 16
_BITS, _COLUMN = np.uint64(32), np.uint64(2**32 - 1)
_MAGNITUDE = np.uint32(2**31 - 1)
_LAST = np.uint64(2**64 - 1)


def ranked_items(
    queries: NDArray[np.float32],
    gallery: NDArray[np.float32],
    depths: NDArray[np.int64],
    own_rows: NDArray[np.int64] | None = None,
) -> Iterator[tuple[slice, NDArray[np.int64]]]:
    """Yield the best gallery rows of consecutive queries, best first, ties in gallery order.

    Args:
        queries: (Q, D) unit vectors. Neighbours in this order share a chunk, so order them by depth.
        gallery: (N, D) unit vectors.
        depths: (Q,) how many places each query needs.
        own_rows: (Q,) the gallery row that is the query itself and must not be found.

    Yields:
        The slice of queries, and their gallery rows (n, k), k being the largest depth among them but no more
        than there are items to find.
    """
    available = len(gallery) - (own_rows is not None)
    for part, similarities in similarity_chunks(queries, gallery, own_rows):
        yield part, best_columns(similarities, min(int(depths[part].max()), available))


def similarity_chunks(
    queries: NDArray[np.float32], gallery: NDArray[np.float32], own_rows: NDArray[np.int64] | None = None
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield the cosines of consecutive queries and the whole gallery, in bounded memory.

    Args:
        queries: (Q, D) unit vectors.
        gallery: (N, D) unit vectors.
        own_rows: (Q,) the gallery row that is the query itself: minus infinity stands there.

    Yields:
        The slice of queries and a table (n, N) that is overwritten by the next one.
    """
    searched = _tensor(gallery)
    size = max(FEWEST_QUERIES, SIMILARITIES_PER_CHUNK // max(1, len(gallery)))
    table = torch.empty(min(size, len(queries)), len(gallery))
    for start in range(0, len(queries), size):
        part = slice(start, min(start + size, len(queries)))
        similarities = cosine_similarity_into(_tensor(queries[part]), searched, table[: part.stop - start])
        if own_rows is not None:
            hide_own_column(similarities, torch.from_numpy(own_rows[part]))
        yield part, similarities.numpy()


def _tensor(vectors: NDArray[np.float32]) -> torch.Tensor:
    """Return a view where torch can have one; read-only, strided and half-precision arrays are copied."""
    return torch.from_numpy(np.require(vectors, np.float32, ["C", "W"]))


def best_columns(similarities: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Return the columns (n, k) of each row's k largest entries, largest first, ties by smaller column.

    >>> best_columns(np.array([[0.1, 0.9, 0.5, 0.9]], dtype=np.float32), 3).tolist()
    [[1, 3, 2]]
    """
    threads = min(torch.get_num_threads(), len(similarities))
    if similarities.size < SHARED_FROM or threads <= 1:
        return _best_columns(similarities, k)
    with ThreadPoolExecutor(threads) as pool:  # numpy lets go of the interpreter while it sorts
        shares = pool.map(_best_columns, np.array_split(similarities, threads), repeat(k))
        return np.concatenate(list(shares))


def _best_columns(similarities: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Sort only a few entries of each row: those that reach a lower bound of the k-th largest.

    Everything that ties with the k-th reaches it too, so no tie is broken by chance.
    """
    flat = np.flatnonzero(similarities >= lower_bound(similarities, k)[:, None])
    rows, columns = np.divmod(flat, similarities.shape[1])
    counts = np.bincount(rows, minlength=len(similarities))
    places = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    keys = np.full((len(similarities), int(counts.max(initial=0))), _LAST, dtype=np.uint64)
    keys[rows, places] = descending(similarities.ravel()[flat]) << _BITS | columns.astype(np.uint64)
    keys.sort(axis=1)
    return (keys[:, :k] & _COLUMN).astype(np.int64)


def descending(values: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return numbers (n,) of 32 bits that are in the opposite order of ``values`` (n,), which are no NaN.

    The bits of positive floats are in the order of the floats, those of negative ones in the opposite order.
    Whole numbers are sorted several times faster than positions by floats.
    """
    bits = (values + np.float32(0.0)).view(np.uint32)  # -0.0 becomes 0.0, which it is equal to
    return np.where(bits >> 31, bits, ~bits & _MAGNITUDE).astype(np.uint64)


def undescending(codes: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Return the values (n,) that :func:`descending` gave these numbers to."""
    bits = codes.astype(np.uint32)
    return np.where(bits >> 31, bits, ~bits & _MAGNITUDE).view(np.float32)


def lower_bound(similarities: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """Return, per row (n,), a number that at least k of its entries reach and few more.

    It is the k-th largest of the maxima of disjoint groups of columns: k groups hold an entry that large. One
    pass of maxima is far cheaper than selecting from all entries. A group takes every (N / 16)-th column,
    because neighbours in a gallery tend to be of one category and would hide behind each other.
    """
    rows, columns = similarities.shape
    size = min(GROUP, columns // (2 * k))
    if size < 2:
        return np.full(rows, -np.inf, dtype=np.float32)
    groups = columns // size
    maxima = similarities[:, : size * groups].reshape(rows, size, groups).max(axis=1)
    bound: NDArray[np.float32] = np.partition(maxima, groups - k, axis=1)[:, groups - k]
    return bound
