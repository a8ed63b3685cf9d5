"""Fingerprints of pictures: copies that were saved again, resized or trimmed a little lie within a few bits.

No network has a part in this, so that fingerprints stay comparable whatever is learned.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint64]

WORDS = 4
BITS = 64 * WORDS
NEAR_BITS = 40
"""Two fingerprints that differ in no more bits are those of near-duplicates.

``python -m benchmarks.near_copies`` measures what this finds and what it takes for a copy by mistake.
"""

_FREQUENCIES = 16
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
# Rounding to 8 bits alone makes coefficients of about 0.3: below this a picture has nothing to compare.
_PLAIN = 1.0
_AT_ONCE = 1 << 15  # fingerprints compared at a time: what they need stays in the processor's cache


def fingerprint(square: NDArray[np.uint8]) -> Codes:
    """Return the fingerprint (4,) of a picture's square (S, S, 3) RGB; zeros where it is too plain for one.

    The 16 x 16 lowest frequencies of the luma's discrete cosine transform, the constant ones left out; a bit
    is set where a coefficient is above the median of all. So brightness and contrast cancel out, and fine
    detail, which saving and resizing change, is not looked at.

    Source: Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions", section 3.2.2;
    with 16 instead of 8 frequencies, as PDQ (Facebook 2019).

    >>> x, y = np.mgrid[:64, :64]
    >>> square = np.repeat(((3 * x * y + x * x) % 251).astype(np.uint8)[..., None], 3, axis=2)
    >>> darker = (square * 0.7).astype(np.uint8)
    >>> int(bits_apart(fingerprint(square), fingerprint(darker))) <= NEAR_BITS
    True
    >>> fingerprint(np.full((64, 64, 3), 200, dtype=np.uint8)).tolist()
    [0, 0, 0, 0]
    """
    waves = _waves(square.shape[0])
    coefficients = waves @ (square @ _LUMA) @ waves.T
    if np.median(np.abs(coefficients)) < _PLAIN:
        return np.zeros(WORDS, dtype=np.uint64)
    bits = coefficients > np.median(coefficients)
    return np.packbits(bits).view("<u8").astype(np.uint64)


def bits_apart(one: Codes, other: Codes) -> NDArray[np.int64]:
    """Return in how many bits fingerprints (..., 4) differ, broadcast against each other.

    >>> bits_apart(np.array([[0, 0, 0, 7]], dtype=np.uint64), np.zeros(4, dtype=np.uint64)).tolist()
    [3]
    """
    apart: NDArray[np.int64] = np.bitwise_count(one ^ other).sum(axis=-1, dtype=np.int64)
    return apart


def is_plain(codes: Codes) -> NDArray[np.bool_]:
    """Say which of ``codes`` (n, 4) are of pictures too plain to be compared."""
    return np.asarray((codes == 0).all(axis=1))


def nearest(
    codes: Codes, known: Codes, candidates: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each of ``codes`` the nearest of ``known`` that is a near-duplicate, by comparing all.

    Args:
        codes: (n, 4).
        known: (N, 4).
        candidates: (n,) how many of ``known``, from the first on, a code is compared with; None for all. So
            a list can be compared with itself, each code with those before it.

    Returns:
        Rows (n,) of ``known``, -1 where none is near, the first of equally near ones; and bits apart (n,).

    >>> codes = np.array([[1, 1, 1, 1], [2, 2, 2, 2], [1, 1, 1, 3]], dtype=np.uint64)
    >>> [found.tolist() for found in nearest(codes, codes, np.arange(3))]
    [[-1, 0, 0], [257, 8, 1]]
    """
    limits = np.full(len(codes), len(known)) if candidates is None else candidates
    rows = np.full(len(codes), -1, dtype=np.int64)
    apart = np.full(len(codes), BITS + 1, dtype=np.int64)
    asking = np.flatnonzero(~is_plain(codes)) if len(codes) else np.empty(0, dtype=np.int64)
    for start in range(0, len(known), _AT_ONCE):
        chunk = known[start : start + _AT_ONCE]
        first, second = np.ascontiguousarray(chunk[:, 0]), np.ascontiguousarray(chunk[:, 1])
        for row in asking[limits[asking] > start].tolist():
            code, count = codes[row], int(limits[row]) - start
            # Half of the bits rule out nearly all: what is left is compared in whole.
            half = np.bitwise_count(first[:count] ^ code[0]) + np.bitwise_count(second[:count] ^ code[1])
            near = np.flatnonzero(half <= NEAR_BITS)
            if not len(near):
                continue
            distances = bits_apart(chunk[near], code)
            distances[is_plain(chunk[near])] = BITS + 1
            best = int(distances.argmin())
            if distances[best] <= NEAR_BITS and distances[best] < apart[row]:
                rows[row], apart[row] = start + near[best], distances[best]
    return rows, apart


@lru_cache(maxsize=4)
def _waves(side: int) -> NDArray[np.float32]:
    """Return the cosines (16, S) of the transform, of unit length."""
    frequency = np.arange(1, _FREQUENCIES + 1)[:, None]
    place = np.arange(side)[None, :]
    cosines = np.cos(np.pi * (2 * place + 1) * frequency / (2 * side)) * np.sqrt(2 / side)
    waves: NDArray[np.float32] = cosines.astype(np.float32)
    return waves
