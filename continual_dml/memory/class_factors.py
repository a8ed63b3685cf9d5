"""What is kept of each class's own covariance: its few widest directions, and how much they leave out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.memory.decompositions import leading_rows

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
SMALLEST_SHARE = 1e-6
"""A direction shorter than this share of the class's longest is rounding."""
BLOCK_ROWS = 8192


@dataclass(frozen=True, slots=True, eq=False)
class ClassFactors:
    """The scatter of C classes about their own means, each in a few directions.

    ``directions`` (sum of ranks, F) float16: of all classes, one class after another, of unit length;
    ``lengths`` (sum of ranks,) float32: root of the sum of squares along each; ``ranks`` (C,): how many are
    whose; ``rests`` (C,): the sum of squares that a class's directions do not show. With the rows
    L_c = length * direction, and S the scatter of all classes together::

        S = sum_c (L_c'L_c + T_c)        tr T_c = rest_c

    of T_c only this trace and the sum over classes are known. Half precision moves a direction by three parts
    in ten thousand, which tens of images leave far more uncertain, and halves the bytes. What is stored is
    what is computed with, so that a learner goes on to the same bits whether it was stored in between or not.

    >>> centred = np.array([[-8.0, 0.0], [8.0, 0.0], [0.0, 0.0]])  # a class of two images and one of one
    >>> factors = measured_factors(centred, np.array([2, 1]), rank=8)
    >>> factors.ranks.tolist(), factors.totals.round(3).tolist()
    ([1, 0], [128.0, 0.0])
    """

    directions: NDArray[np.float16]
    lengths: NDArray[np.float32]
    ranks: Ints
    rests: Floats

    @classmethod
    def of(cls, rows: NDArray[np.floating], ranks: Ints, rests: Floats) -> ClassFactors:
        """Return the factors with L_c of all classes as ``rows`` (sum of ranks, F)."""
        return cls(*_rounded(rows), ranks, rests)

    @classmethod
    def without_directions(cls, rests: Floats, dimension: int) -> ClassFactors:
        """Return factors of rank 0 for classes with ``rests`` (C,) and features of ``dimension`` F."""
        return cls.of(np.empty((0, dimension)), np.zeros(len(rests), dtype=np.int64), rests)

    def rows(self, places: slice | Ints) -> NDArray[np.float32]:
        """Return rows of L of all classes, those at ``places`` (any shape, or a slice)."""
        return self.directions[places].astype(np.float32) * self.lengths[places][..., None]

    def of_class(self, position: int) -> NDArray[np.float32]:
        """Return L_c (rank, F) of the class at ``position``."""
        end = int(self.ranks[: position + 1].sum())
        return self.rows(slice(end - int(self.ranks[position]), end))

    @property
    def totals(self) -> Floats:
        """Sum of squares (C,) of each class about its mean, in all directions together."""
        owners = np.repeat(np.arange(len(self.ranks)), self.ranks)
        squares = np.concatenate([_squares(self.rows(block)) for block in self._blocks()])
        return self.rests + np.bincount(owners, weights=squares, minlength=len(self.ranks))

    def moved(self, matrix: Floats, total: float, added: Floats) -> ClassFactors:
        """Return the factors carried by a map: L <- L A', rest <- stretch rest + added.

        What directions do not show is stretched alike for all classes, by tr(A T A') / tr T of all T_c
        together.

        Args:
            matrix: A (F, F), of the drift within classes.
            total: tr(A S A').
            added: (C,) sum of squares that the map leaves unexplained, not negative.
        """
        turned = matrix.T.astype(np.float32)
        moved, shown = [], 0.0
        for block in self._blocks():
            rows = self.rows(block) @ turned
            shown += float(_squares(rows).sum())
            moved.append(_rounded(rows))
        hidden = float(self.rests.sum())
        stretch = max(total - shown, 0.0) / hidden if hidden > 0.0 else 1.0
        directions, lengths = zip(*moved, strict=True)
        rests = stretch * self.rests + added
        return ClassFactors(np.concatenate(directions), np.concatenate(lengths), self.ranks, rests)

    def merged(
        self, other: ClassFactors, gaps: Mapping[int, tuple[int, Floats]], fresh: Sequence[int], rank: int
    ) -> ClassFactors:
        """Return the factors of both together, the classes of ``self`` first.

        A class in both gets the directions of both and of the gap between its means (Chan et al. 1979), cut
        to the leading ``rank``; what is cut off joins its rest. A class that holds more than ``rank``,
        because the rank was larger once, is cut too.

        Args:
            other: of classes some of which may be in ``self``.
            gaps: for a class in both, its position here, its position there, and the gap (F,) between the
                means times the root of n m / (n + m).
            fresh: positions in ``other`` of the classes that are not here.
            rank: most directions of a class.
        """
        most = min(rank, self.directions.shape[1])
        here, there = self._classes(), other._classes()
        for mine, (theirs, gap) in gaps.items():
            first, second = here[mine], there[theirs]
            rows = np.concatenate([first.rows, second.rows, gap[None]])
            here[mine] = _cut(rows, first.rest + second.rest, most)
        both = [*here, *(there[position] for position in fresh)]
        return _gathered([_cut(one.rows, one.rest, most) if len(one.lengths) > most else one for one in both])

    def _blocks(self) -> list[slice]:
        """Return slices of a few thousand rows each, at least one."""
        starts = range(0, max(len(self.directions), 1), BLOCK_ROWS)
        return [slice(start, start + BLOCK_ROWS) for start in starts]

    def _classes(self) -> list[_OneClass]:
        if not len(self.ranks):
            return []
        ends = np.cumsum(self.ranks)[:-1]
        parts = (np.split(self.directions, ends), np.split(self.lengths, ends), self.rests.tolist())
        return [_OneClass(*one) for one in zip(*parts, strict=True)]

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the fields as named arrays, for storage."""
        return {
            "factor_directions": self.directions,
            "factor_lengths": self.lengths,
            "factor_ranks": self.ranks,
            "factor_rests": self.rests,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> ClassFactors:
        """Return the factors that :meth:`to_arrays` gave."""
        names = ("factor_directions", "factor_lengths", "factor_ranks", "factor_rests")
        return cls(*(arrays[name] for name in names))


def measured_factors(centred: Floats, counts: Ints, rank: int) -> ClassFactors:
    """Measure the factors of classes whose images stand one class after another.

    Args:
        centred: (N, F) features less the mean of their class.
        counts: (C,) images of each class; a class of n has at most n - 1 directions.
        rank: most directions of a class.
    """
    return _gathered([_cut(rows, 0.0, rank) for rows in np.split(centred, np.cumsum(counts)[:-1])])


def compressed(rows: NDArray[np.floating], rank: int) -> tuple[Floats, float]:
    """Return at most ``rank`` rows (r, F), longest first, and the sum of squares that they leave out.

    >>> kept, left_out = compressed(np.array([[3.0, 0.0], [0.0, 1.0]]), rank=1)
    >>> np.abs(kept).round(6).tolist(), round(left_out, 6)
    ([[3.0, 0.0]], 1.0)
    """
    wide = np.asarray(rows, dtype=np.float64)
    kept = leading_rows(wide, rank)
    squares = np.square(kept).sum(axis=1)
    real = squares > SMALLEST_SHARE**2 * squares.max(initial=0.0)
    left_out = float(np.square(wide).sum() - squares[real].sum())
    return kept[real], max(left_out, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class _OneClass:
    """Directions (rank, F), lengths (rank,) and rest of one class."""

    directions: NDArray[np.float16]
    lengths: NDArray[np.float32]
    rest: float

    @property
    def rows(self) -> NDArray[np.float32]:
        return self.directions.astype(np.float32) * self.lengths[:, None]


def _cut(rows: NDArray[np.floating], rest: float, rank: int) -> _OneClass:
    kept, left_out = compressed(rows, rank)
    return _OneClass(*_rounded(kept), rest + left_out)


def _gathered(classes: Sequence[_OneClass]) -> ClassFactors:
    return ClassFactors(
        np.concatenate([one.directions for one in classes]),
        np.concatenate([one.lengths for one in classes]),
        np.array([len(one.lengths) for one in classes], dtype=np.int64),
        np.array([one.rest for one in classes], dtype=np.float64),
    )


def _rounded(rows: NDArray[np.floating]) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    """Return directions (n, F) in half precision and lengths (n,) whose products are nearest to ``rows``."""
    wide = np.asarray(rows, dtype=np.float32)
    lengths = np.linalg.norm(wide, axis=1)
    directions = (wide / _or_one(lengths)[:, None]).astype(np.float16)
    left = np.linalg.norm(directions.astype(np.float32), axis=1)  # no variance is lost by rounding
    return directions, lengths / _or_one(left)


def _or_one(lengths: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``lengths`` with 1 in the place of 0, to divide by."""
    return np.where(lengths > 0, lengths, np.float32(1))


def _squares(rows: NDArray[np.float32]) -> Floats:
    """Return the sum of squares (n,) of each row, added up in double precision."""
    return np.asarray(np.einsum("rf,rf->r", rows, rows, dtype=np.float64))
