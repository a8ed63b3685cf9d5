"""Ids and vectors as PostgreSQL copies them in binary, and the hash that says whether they are the same ones.

The hash is over the items in the order of their ids: each its id as a little-endian 64-bit number, then its
vector as little-endian 32-bit floats. So it depends on nothing that a database may choose.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import CorruptIndex
from storage.verified_files import ADVICE

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_ROWS_AT_ONCE = 4096
_FRAME = ("fields", "id_bytes", "vector_bytes", "dimension")


class ContentHash:
    """SHA-256 of items that are given piece by piece, in the order of their ids."""

    def __init__(self, dimension: int) -> None:
        self._row = np.dtype([("id", "<i8"), ("vector", "<f4", (dimension,))])
        self._digest = hashlib.sha256()

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Take the next ``ids`` (n,) with their ``vectors`` (n, D) in."""
        rows = np.empty(len(ids), dtype=self._row)
        rows["id"], rows["vector"] = ids, vectors
        self._digest.update(rows.tobytes())

    def hexdigest(self) -> str:
        """Return the hash of all that was taken in, in hexadecimal."""
        return self._digest.hexdigest()


def in_id_order(
    ids: NDArray[np.int64], vectors: NDArray[np.float32]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Yield ``ids`` (N,) and ``vectors`` (N, D) piece by piece, the smallest id first."""
    order = np.argsort(ids)
    for start in range(0, len(order), _ROWS_AT_ONCE):
        chosen = order[start : start + _ROWS_AT_ONCE]
        yield ids[chosen], vectors[chosen]


def packed(
    pieces: Iterable[tuple[NDArray[np.int64], NDArray[np.float32]]], dimension: int
) -> Iterator[bytes]:
    """Yield what ``COPY ... FROM STDIN (FORMAT binary)`` takes for pieces of ids (n,) and vectors (n, D)."""
    yield _HEADER
    for ids, vectors in pieces:
        rows = np.zeros(len(ids), dtype=_row(dimension))
        for name, value in zip(_FRAME, _frame(dimension), strict=True):
            rows[name] = value
        rows["id"], rows["vector"] = ids, vectors
        yield rows.tobytes()
    yield _TRAILER


def unpacked(
    document: Iterable[bytes | memoryview], dimension: int, where: str
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Yield ids (n,) and vectors (n, D) of what ``COPY ... TO STDOUT (FORMAT binary)`` gives.

    Raises:
        CorruptIndex: a row is not an id with a vector of that dimension.
    """
    row = _row(dimension)
    waiting = bytearray()
    skip = len(_HEADER)
    for piece in document:
        waiting += piece
        if len(waiting) >= skip + _ROWS_AT_ONCE * row.itemsize:
            whole = skip + (len(waiting) - skip) // row.itemsize * row.itemsize
            yield _columns(bytes(waiting[skip:whole]), row, dimension, where)
            del waiting[:whole]
            skip = 0
    if not waiting.endswith(_TRAILER) or (len(waiting) - skip - len(_TRAILER)) % row.itemsize:
        raise CorruptIndex(f"{where} holds a row that is no vector of length {dimension}: {ADVICE}")
    yield _columns(bytes(waiting[skip : -len(_TRAILER)]), row, dimension, where)


def _columns(
    content: bytes, row: np.dtype[np.void], dimension: int, where: str
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    rows = np.frombuffer(content, dtype=row)
    if any((rows[name] != value).any() for name, value in zip(_FRAME, _frame(dimension), strict=True)):
        raise CorruptIndex(f"{where} holds a row that is no vector of length {dimension}: {ADVICE}")
    return rows["id"].astype(np.int64), rows["vector"].astype(np.float32)


def _row(dimension: int) -> np.dtype[np.void]:
    """Return one row as it lies in the document: each field with its length before it."""
    return np.dtype(
        [
            *(("fields", ">i2"), ("id_bytes", ">i4"), ("id", ">i8"), ("vector_bytes", ">i4")),
            *(("dimension", ">i2"), ("unused", ">i2"), ("vector", ">f4", (dimension,))),
        ]
    )


def _frame(dimension: int) -> tuple[int, int, int, int]:
    return 2, 8, 4 + 4 * dimension, dimension
