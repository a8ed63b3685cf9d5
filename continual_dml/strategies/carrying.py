"""Carrying stored features to the live generation's vectors, and how far off they may be by then.

All that does not depend on an item is worked out once for all of them: maps of every birth generation folded
with the head, and what each step leaves unexplained once all that follows has been applied.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from continual_dml.memory.discriminant_head import unit_rows
from continual_dml.memory.drift import AffineMap
from continual_dml.memory.feature_views import FeatureView
from continual_dml.records import Lengths
from continual_dml.settings import Settings
from continual_dml.strategies.heads import MemberHead
from continual_dml.strategies.state import LearnerState, MemberState

Floats = NDArray[np.float64]
Births = NDArray[np.int64]
_Number = TypeVar("_Number", bound=np.number[Any])
SMALLEST_NORM = 1e-12
ROWS_AT_ONCE = 2**15
"""Features are stored in 16 bits and carried in 64: never all of them at once."""


class MemberCarrying:
    """The same for one network: its features (N, F) only.

    Args:
        member: what it keeps.
        head: its live head.
    """

    def __init__(self, member: MemberState, head: MemberHead) -> None:
        self._member = member
        self._head = head
        self._generations = sorted(member.drift.steps)
        self._steps = [member.drift.steps[generation] for generation in self._generations]
        self._folded: dict[int, AffineMap] = {}
        self._variances: list[float] | None = None

    def vectors(self, features: NDArray[np.floating], birth: int) -> NDArray[np.float32]:
        """Return the unit vectors (N, D) of features that were stored in generation ``birth``."""
        view = self.view_of(birth)
        return unit_rows(self.lengthy(features, birth)) if view is None else view(features)

    def of_live(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the unit vectors (N, D) of features (N, F) that the live network gave."""
        return self._head(features)

    def lengthy(self, features: NDArray[np.floating], birth: int) -> Floats:
        """Return the same (N, D) before they are brought to unit length."""
        folded = self.map_of(birth)
        if folded is None:
            return self._head.lengthy(self._member.carried(features, birth))
        return folded(features.astype(np.float64))

    def view_of(self, birth: int) -> FeatureView | None:
        """Return what makes :meth:`vectors` of features of ``birth``; None for a bent head."""
        folded = self.map_of(birth)
        return None if folded is None else FeatureView.of(folded)

    def map_of(self, birth: int) -> AffineMap | None:
        """Return the map of features of ``birth`` to vectors before their scaling; None for a bent head."""
        head = self._head.affine
        if head is None:
            return None
        reached, first = head, bisect_right(self._generations, birth)
        for position in range(len(self._steps), first, -1):
            if position - 1 not in self._folded:
                self._folded[position - 1] = reached.after(self._steps[position - 1].map)
            reached = self._folded[position - 1]
        return reached

    def errors(self, features: NDArray[np.floating], births: Births) -> Floats:
        """Return the expected 1 - cosine (N,) of :meth:`vectors`; see :meth:`Carrying.errors`."""
        order = np.argsort(births, kind="stable")
        oldest_first, born = features[order].astype(np.float32), births[order]
        squared, variance = np.zeros(len(order)), np.zeros(len(order))
        for birth in np.unique(born).tolist():
            rows = slice(*np.searchsorted(born, [birth, birth + 1]).tolist())
            squared[rows] = np.square(self.lengthy(oldest_first[rows], birth)).sum(axis=1)
        for generation, step, left in zip(self._generations, self._steps, self._unexplained(), strict=True):
            older = int(np.searchsorted(born, generation))  # so many of them have this step to go
            if older:
                variance[:older] += (1.0 + step.doubt.leverage(oldest_first[:older])) * left
        errors = np.empty(len(order))
        errors[order] = 0.5 * variance / np.maximum(squared, SMALLEST_NORM)
        return errors

    def _unexplained(self) -> list[float]:
        """Return the variance that each step leaves unexplained, as all that follows and the head see it."""
        if self._variances is None:
            self._variances = [
                step.doubt.variance_after(following)
                for step, following in zip(self._steps, self._followings(), strict=True)
            ]
        return self._variances

    def _followings(self) -> list[Floats]:
        """Return for each step the linear map (D, F) of all that follows it and the head."""
        folded = [self.map_of(generation) for generation in self._generations]
        known = [one.wide for one in folded if one is not None]
        if len(known) == len(self._steps):
            return known
        found = [self._head.slope(self._member.statistics.means)]
        for step in self._steps[:0:-1]:
            found.append(found[-1] @ step.map.matrix)
        return found[::-1]


class Carrying:
    """How stored features become vectors of a learner's generation.

    Args:
        state: of the learner.
        settings: of the workspace: which head embeddings come from.
    """

    def __init__(self, state: LearnerState, settings: Settings) -> None:
        self._reduction = state.reduction
        self._members = [
            (
                MemberCarrying(
                    member,
                    member.live_head(
                        statistics_head=settings.training.uses_statistics_head,
                        square_root=settings.model.takes_square_root,
                    ),
                ),
                columns,
            )
            for member, columns in state.columns()
        ]

    @property
    def members(self) -> list[tuple[MemberCarrying, slice]]:
        """Each member, and where its features stand in a stored feature."""
        return self._members

    def with_lengths(
        self, features: NDArray[np.floating], birth: int
    ) -> tuple[NDArray[np.float32], Lengths | None]:
        """Return :meth:`vectors` that are not ``exact``, and lengths where there is a view of ``birth``."""
        view = self.view_of(birth)
        return (self.vectors(features, birth), None) if view is None else view.with_lengths(features)

    def vectors(
        self, features: NDArray[np.floating], birth: int, *, exact: bool = True
    ) -> NDArray[np.float32]:
        """Return the unit vectors (N, D) of features (N, sum of F) stored in generation ``birth``.

        ``exact``: as they are written and searched; if not, the last bit may differ: for measuring alone.
        """
        view = self.view_of(birth)
        if view is not None:
            return view(features) if exact else view.nearly(features)
        return np.concatenate([self._vectors(chunk, birth) for chunk in _chunks(features)])

    def _vectors(self, features: NDArray[np.floating], birth: int) -> NDArray[np.float32]:
        parts = [member.vectors(features[:, own], birth) for member, own in self._members]
        if len(parts) == 1:
            return parts[0]
        joined = np.concatenate(parts, axis=1)
        return unit_rows(joined if self._reduction is None else joined @ self._reduction)

    def view_of(self, birth: int) -> FeatureView | None:
        """Return what makes :meth:`vectors` of ``birth``, where that is one affine map and a scaling."""
        return self._members[0][0].view_of(birth) if len(self._members) == 1 else None

    def errors(self, features: NDArray[np.floating], births: int | Births) -> Floats:
        """Return the expected 1 - cosine (N,) between these vectors and those of the live networks.

        Each step since the birth adds the variance that its map left unexplained, as the following steps and
        the head see it, times how little was known where the feature lies. Half of that, relative to the
        squared length before scaling, is the expected 1 - cosine for small errors; what is above 1 says no
        more than that the vector cannot be trusted. How little was known is judged at the feature as it was
        stored: drift is small against the spread of features. For a cohort, the mean of its members'.

        Args:
            features: (N, sum of F) as they were stored.
            births: in which generation; of all of them, or (N,) of each: one step serves all that it is for.

        Source: docs/methods.md, "Drift maps".
        """
        every = np.broadcast_to(np.asarray(births, dtype=np.int64), len(features))
        chunks = zip(_chunks(features), _chunks(every), strict=True)
        return np.concatenate([self._errors(chunk, born) for chunk, born in chunks])

    def _errors(self, features: NDArray[np.floating], births: Births) -> Floats:
        errors = [member.errors(features[:, own], births) for member, own in self._members]
        return np.asarray(np.mean(errors, axis=0))


def _chunks(rows: NDArray[_Number]) -> Iterator[NDArray[_Number]]:
    """Yield the rows a few at a time; an empty chunk where there is none."""
    for start in range(0, max(len(rows), 1), ROWS_AT_ONCE):
        yield rows[start : start + ROWS_AT_ONCE]
