"""The rows with the largest inner products for many vectors at once, by matrix products and torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.index.half_products import inner_products

_QUERIES, _ROWS = 64, 1 << 17
"""At a time: 32 megabytes of inner products."""


def best_products(
    torch: Any,  # noqa: ANN401 - the module, see :func:`storage.index.half_products.exact_torch`
    codes: NDArray[np.float16],
    queries: NDArray[np.float32],
    width: int,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return inner products and rows (Q, width) of ``codes`` (N, D) for ``queries`` (Q, D), best first.

    Args:
        torch: the module.
        codes: may lie in a mapped file.
        queries: any number.
        width: at most N.
    """
    products = np.empty((len(queries), width), dtype=np.float32)
    rows = np.empty((len(queries), width), dtype=np.int64)
    for first in range(0, len(queries), _QUERIES):
        part = slice(first, first + _QUERIES)
        products[part], rows[part] = _best(torch, codes, queries[part], width)
    return products, rows


def _best(
    torch: Any,  # noqa: ANN401
    codes: NDArray[np.float16],
    queries: NDArray[np.float32],
    width: int,
) -> tuple[Any, Any]:
    best = torch.empty((len(queries), 0))
    of_rows = torch.empty((len(queries), 0), dtype=torch.int64)
    for start in range(0, len(codes), _ROWS):
        stop = min(len(codes), start + _ROWS)
        found = torch.from_numpy(inner_products(codes, slice(start, stop), queries))
        values, places = found.topk(min(width, stop - start), dim=1)
        best, of_rows = torch.cat([best, values], 1), torch.cat([of_rows, places + start], 1)
        best, chosen = best.topk(min(width, best.shape[1]), dim=1)
        of_rows = of_rows.gather(1, chosen)
    return best.numpy(), of_rows.numpy()
