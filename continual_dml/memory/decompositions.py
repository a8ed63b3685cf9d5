"""Singular value decompositions: one that does not give up, and one of the leading directions alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
FEWEST_FOR_GRAM = 64
"""From so many rows and columns on, eigenvectors of the Gram matrix are several times as quick."""


def thin_svd(matrix: Floats) -> tuple[Floats, Floats, Floats]:
    """Return u (n, r), singular values (r,) falling and v (r, d): ``u * values @ v`` is the matrix.

    r is the smaller of n and d.
    LAPACK's fast routine fails to converge on some harmless matrices, depending on the number of threads. The
    transposed problem takes another path through it; where that fails as well, the eigenvectors of the
    smaller Gram matrix are orthogonalised, which is less exact for the smallest singular values alone.

    Args:
        matrix: (n, d), finite.

    Raises:
        numpy.linalg.LinAlgError: a value is not finite.
    """
    for transposed in (False, True):
        try:
            left, values, right = np.linalg.svd(matrix.T if transposed else matrix, full_matrices=False)
        except np.linalg.LinAlgError:
            continue
        return (right.T, values, left.T) if transposed else (left, values, right)
    return _by_eigenvectors(matrix)


def leading_rows(matrix: Floats, rank: int) -> Floats:
    """Return at most ``rank`` orthogonal rows (r, d), longest first, that approximate ``matrix`` (n, d) best.

    No other r rows come as close to its sum of outer products, ``matrix' matrix``. Rows of length zero may be
    among them.

    Source: Eckart, Young 1936, "The approximation of one matrix by another of lower rank".

    >>> np.abs(leading_rows(np.array([[3.0, 0.0], [0.0, 1.0]]), rank=1)).round(6).tolist()
    [[3.0, 0.0]]
    """
    if min(matrix.shape) < FEWEST_FOR_GRAM:
        _, lengths, directions = thin_svd(matrix)
        return lengths[:rank, None] * directions[:rank]
    if len(matrix) <= matrix.shape[1]:
        _, axes = np.linalg.eigh(matrix @ matrix.T)
        return np.asarray(axes[:, ::-1][:, :rank].T @ matrix)
    squares, axes = np.linalg.eigh(matrix.T @ matrix)
    lengths = np.sqrt(np.maximum(squares[::-1][:rank], 0.0))
    return np.asarray(lengths[:, None] * axes[:, ::-1][:, :rank].T)


def _by_eigenvectors(matrix: Floats) -> tuple[Floats, Floats, Floats]:
    if len(matrix) > matrix.shape[1]:
        right, values, left = _by_eigenvectors(matrix.T)
        return left.T, values, right.T
    squares, axes = np.linalg.eigh(matrix @ matrix.T)
    left = axes[:, ::-1]
    values = np.sqrt(np.maximum(squares[::-1], 0.0))
    orthonormal, triangle = np.linalg.qr(matrix.T @ left)  # columns are the right vectors times the values
    signs = np.where(np.diag(triangle) < 0, -1.0, 1.0)
    return left, values, (orthonormal * signs).T
