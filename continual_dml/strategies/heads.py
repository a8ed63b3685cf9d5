"""Heads: from stored features to the unit vectors that are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from continual_dml.memory.decompositions import thin_svd
from continual_dml.memory.discriminant_head import SMALLEST_NORM, unit_rows
from continual_dml.memory.drift import AffineMap


class Head(Protocol):
    """From stored features to embeddings."""

    def __call__(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return unit embeddings (N, D) of stored features (N, F)."""


class MemberHead(Head, Protocol):
    """The head of one network: smooth up to the scaling to unit length."""

    def lengthy(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the embeddings (N, D) before they are brought to unit length."""

    @property
    def affine(self) -> AffineMap | None:
        """:meth:`lengthy` as a map (D, F), where it is one."""

    def slope(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return how :meth:`lengthy` changes with a feature (D, F), on average over ``features`` (N, F)."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainedHead:
    """The projection that training shaped: ``weight`` (D, F), applied to features before their root."""

    weight: NDArray[np.float32]
    square_root: bool

    def __call__(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return unit embeddings (N, D) of stored features (N, F)."""
        return unit_rows(self.lengthy(features))

    def lengthy(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the embeddings (N, D) before they are brought to unit length."""
        wide = np.asarray(features, dtype=np.float64)
        pooled = wide * np.abs(wide) if self.square_root else wide
        return np.asarray(pooled @ self.weight.T.astype(np.float64))

    @property
    def affine(self) -> AffineMap | None:
        """:meth:`lengthy` as a map (D, F); None where roots are undone first."""
        if self.square_root:
            return None
        return AffineMap(self.weight.astype(np.float64), np.zeros(len(self.weight)))

    def slope(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return how :meth:`lengthy` changes with a feature (D, F), on average over ``features`` (N, F)."""
        wide = self.weight.astype(np.float64)
        return wide * (2 * np.abs(features).mean(axis=0)) if self.square_root else wide


@dataclass(frozen=True, slots=True, eq=False)
class EnsembleHead:
    """The members' unit embeddings side by side: cosines of the whole are means of the members' cosines.

    ``heads`` and ``widths`` (F of each) of the members; ``reduction`` (sum of D, D') or None.
    """

    heads: tuple[Head, ...]
    widths: tuple[int, ...]
    reduction: NDArray[np.float64] | None = None

    def __call__(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return unit embeddings (N, sum of D, or D' after the reduction) of features (N, sum of F)."""
        parts = np.split(np.asarray(features), np.cumsum(self.widths)[:-1], axis=1)
        joined = np.concatenate([head(part) for head, part in zip(self.heads, parts, strict=True)], axis=1)
        return unit_rows(joined if self.reduction is None else joined @ self.reduction)


def joined_head(heads: Sequence[Head], widths: Sequence[int], reduction: NDArray[np.float64] | None) -> Head:
    """Return the head of a cohort whose members have ``heads`` and features of ``widths``."""
    if len(heads) == 1:
        return heads[0]
    return EnsembleHead(tuple(heads), tuple(widths), reduction)


def fit_reduction(
    vectors: NDArray[np.floating], weights: NDArray[np.number], width: int
) -> NDArray[np.float64]:
    """Return (D, width) orthonormal directions that keep most of the weighted vectors' inner products.

    Principal directions without centring, because cosines are taken from the origin.

    Args:
        vectors: (N, D).
        weights: (N,) how many images each vector stands for.
        width: how many directions; no more than D.
    """
    scaled = np.asarray(vectors, dtype=np.float64) * np.sqrt(np.asarray(weights, dtype=np.float64))[:, None]
    _, strengths, rows = thin_svd(scaled)
    real = strengths > max(strengths.max(initial=0.0), SMALLEST_NORM) * 1e-9
    # Coordinates fill up what few vectors leave open: a null space has no basis of its own to fall back on.
    dimension = scaled.shape[1]
    axes, _ = np.linalg.qr(np.concatenate([rows[real].T, np.eye(dimension)], axis=1))
    leading: NDArray[np.float64] = np.ascontiguousarray(axes[:, : min(width, dimension)])
    return leading
