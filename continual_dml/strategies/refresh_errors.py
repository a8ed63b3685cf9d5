"""How far a carried vector is likely to be from the one that the live network would give its image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from continual_dml.strategies.heads import MemberHead
from continual_dml.strategies.state import LearnerState, MemberState

Floats = NDArray[np.float64]
SMALLEST_NORM = 1e-12


def estimated_errors(
    state: LearnerState,
    features: NDArray[np.floating],
    birth: int,
    *,
    statistics_head: bool,
    square_root: bool,
) -> Floats:
    """Return the expected 1 - cosine (N,) between carried vectors and those of the live network.

    Each step of the way from the birth adds the variance that its map left unexplained, as the following
    steps and the head see it, times how little was known where the feature lies. Half of that, relative to
    the squared length before normalisation, is the expected 1 - cosine for small errors. The leverage is
    taken at the feature as it was stored: drift is small against the spread of features. For a cohort, the
    mean of its members'. What is above 1 says no more than that the vector cannot be trusted.

    Args:
        state: of the live learner.
        features: (N, sum of F) stored features.
        birth: generation that stored them.
        statistics_head: whether embeddings come from the discriminant head.
        square_root: whether features are square roots of pooled ones.

    Source: docs/methods.md, "Drift maps".
    """
    members = [
        _member_errors(
            member,
            np.asarray(features[:, own], dtype=np.float64),
            birth,
            member.live_head(statistics_head=statistics_head, square_root=square_root),
        )
        for member, own in state.columns()
    ]
    return np.asarray(np.mean(members, axis=0))


def _member_errors(member: MemberState, features: Floats, birth: int, head: MemberHead) -> Floats:
    steps = member.drift.since(birth)
    if not steps or not len(features):
        return np.zeros(len(features))
    carried = member.carried(features, birth)
    following = head.slope(carried)
    variance = np.zeros(len(features))
    for step in reversed(steps):
        variance += (1.0 + step.doubt.leverage(features)) * step.doubt.variance_after(following)
        following = following @ step.map.matrix
    squared = np.square(head.lengthy(carried)).sum(axis=1)
    return np.asarray(0.5 * variance / np.maximum(squared, SMALLEST_NORM))
