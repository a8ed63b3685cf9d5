"""What no index takes silently: faiss itself accepts NaN, equal ids and wrong shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import DimensionMismatch, GalleryError

UNIT_TOLERANCE = 1e-3


def check_vectors(ids: NDArray[Any], vectors: NDArray[Any]) -> None:
    """Accept distinct int64 ``ids`` (N,) and finite float32 unit ``vectors`` (N, D).

    Raises:
        GalleryError: any of that is not so.
    """
    if vectors.ndim != 2 or vectors.dtype != np.float32 or ids.dtype != np.int64:
        raise GalleryError(
            f"an index needs int64 ids and float32 vectors (N, D), not {ids.dtype} and {vectors.dtype} "
            f"{vectors.shape}: this is a defect of cdml, please report it"
        )
    if ids.shape != (len(vectors),):
        raise GalleryError(
            f"{ids.size} ids for {len(vectors)} vectors: this is a defect of cdml, please report it"
        )
    if len(np.unique(ids)) != len(ids):
        raise GalleryError("an id stands twice in the index: this is a defect of cdml, please report it")
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    wrong = ~(np.abs(lengths - 1.0) <= UNIT_TOLERANCE)  # NaN counts as wrong
    if wrong.any():
        raise GalleryError(
            f"{int(wrong.sum())} vectors are not of unit length (first: item {int(ids[wrong][0])}): "
            "embed the gallery again with --refresh reembed"
        )


def check_queries(queries: NDArray[Any], dimension: int, k: int) -> NDArray[np.float32]:
    """Return ``queries`` (Q, D) ready for a search.

    Raises:
        DimensionMismatch: they have another dimension than the index.
        GalleryError: a value is not finite, or ``k`` is negative.
    """
    if queries.ndim != 2 or queries.shape[1] != dimension:
        raise DimensionMismatch(
            f"queries of shape {queries.shape} for an index of dimension {dimension}: "
            "embed them with the model of the same generation"
        )
    if not np.isfinite(queries).all():
        raise GalleryError("a query vector is not finite: look at the query image")
    if k < 0:
        raise GalleryError(f"cannot return {k} neighbours: ask for 1 or more")
    return np.ascontiguousarray(queries, dtype=np.float32)
