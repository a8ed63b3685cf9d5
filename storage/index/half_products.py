"""Inner products of half-precision rows with a few vectors, without a wide copy of the rows as a whole."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

_CHUNK_NUMBERS = 1 << 21
"""So many are widened at a time: eight megabytes. Fewer would stay nearer to the processor, but threads
that wait for each other at every step cost far more than that where other programs are at work."""


def inner_products(
    features: NDArray[np.float16], rows: slice | NDArray[np.int64], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the inner products (Q, m) of ``weights`` (Q, F) with m rows of ``features`` (N, F).

    Numbers are widened without rounding, and multiplied and summed in float32, in any order. torch does so
    twice as fast as numpy where the process has it; it is not imported for that.

    Args:
        features: may lie in a mapped file.
        rows: which; a slice with a start and a stop, or numbers (m,).
        weights: what each row is multiplied with.
    """
    count = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
    found = np.empty((len(weights), count), dtype=np.float32)
    step = max(1, _CHUNK_NUMBERS // max(1, features.shape[1]))
    wide = np.empty((min(step, count), features.shape[1]), dtype=np.float32)
    torch = exact_torch()
    for start in range(0, count, step):
        stop = min(count, start + step)
        if isinstance(rows, slice):
            chunk = features[rows.start + start : rows.start + stop]
        else:
            chunk = features[rows[start:stop]]
        if torch is None:
            np.copyto(wide[: stop - start], chunk)
            np.matmul(weights, wide[: stop - start].T, out=found[:, start:stop])
        else:
            _multiply(torch, weights, chunk, wide[: stop - start], found[:, start:stop])
    return found


def _multiply(
    torch: Any,  # noqa: ANN401 - the module, imported elsewhere
    weights: NDArray[np.float32],
    chunk: NDArray[np.float16],
    wide: NDArray[np.float32],
    found: NDArray[np.float32],
) -> None:
    factors, floats = torch.from_numpy(weights), torch.from_numpy(wide)
    floats.copy_(torch.from_numpy(np.asarray(_Unguarded(chunk))))
    with torch.autocast("cpu", enabled=False):
        if len(weights) == 1:
            torch.mv(floats, factors[0], out=torch.from_numpy(found[0]))
        else:
            torch.mm(factors, floats.T, out=torch.from_numpy(found))


class _Unguarded:
    """An array as one that may be written to, for torch, which warns of any other; nobody writes to it."""

    def __init__(self, array: NDArray[np.float16]) -> None:
        self._owner = array
        found = array.__array_interface__
        self.__array_interface__ = {**found, "data": (found["data"][0], False)}


def exact_torch() -> Any:  # noqa: ANN401
    """Return torch where the process has it and it multiplies float32 numbers as such, else None."""
    torch = sys.modules.get("torch")
    try:
        exact = torch is not None and torch.get_float32_matmul_precision() == "highest"
    except (RuntimeError, AttributeError):  # set in its newer way, or only half imported
        exact = False
    return torch if exact else None
