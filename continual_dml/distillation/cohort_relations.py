"""Relational transfer between the members of a cohort that learn together."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from continual_dml.settings.checks import choice
from continual_dml.settings.cohort import COHORT_PENALTIES, COHORT_RELATIONS
from continual_dml.similarity import at_least_float32, cosine_similarity, drop_self, masked_mean

SMALLEST_MEAN = 1e-3  # points this close on average have collapsed; bounds the gradient of the quotient


def relational_transfer(
    student_embeddings: Tensor,
    peer_embeddings: Tensor,
    *,
    relation: str = "distance",
    penalty: str = "huber",
    mean_normalised: bool = False,
) -> Tensor:
    """Return R(A, B): how far the relations between images in one member are from those in a peer.

    ::

        R(A, B) = mean over i != j of penalty(psi_A(i, j) - psi_B(i, j))

        psi      distance: |a_i - a_j|, between 0 and 2      cosine: a_i . a_j
        penalty  huber: x^2/2 up to |x| = 1, |x| - 1/2 beyond      l1: |x|      l2: x^2

    The diagonal is left out: an image's relation to itself is the same in every network, so it would only
    make the value smaller in small batches. Row i of both must be the same image, while the views that the
    two members had of it may differ, and so may their dimensions.

    Distances are computed from differences of coordinates, not from cosines: near-identical points keep their
    digits, no pair's gradient is longer than 1, and it is 0 for identical points.

    Args:
        student_embeddings: A, (B, D) unit vectors.
        peer_embeddings: B, (B, D') unit vectors of the same images; detached.
        relation: psi.
        penalty: of the differences.
        mean_normalised: divide each member's distances by their own mean first, so that only proportions are
            compared; the peer's mean is a constant. Cosines are never divided: their mean may be 0.

    Returns:
        A scalar, 0 or more; 0 for a single image; float32 at least.

    Raises:
        UnknownChoice: a relation or penalty that is none of the above.

    Source: Diversified Mutual Learning for Deep Metric Learning (arXiv 2009.04170) names relational transfer;
    distances under a Huber penalty follow Park et al. 2019, "Relational Knowledge Distillation".

    >>> student, peer = torch.eye(2), torch.tensor([[1.0, 0.0], [-1.0, 0.0]])  # distances sqrt(2) and 2
    >>> round(relational_transfer(student, peer, penalty="l1").item(), 4)
    0.5858
    >>> relational_transfer(student, peer, relation="cosine").item()  # cosines 0 and -1: huber(1)
    0.5
    """
    choice("cohort relation", relation, COHORT_RELATIONS)
    choice("cohort penalty", penalty, COHORT_PENALTIES)
    student, peer = student_embeddings, peer_embeddings.detach()
    if relation == "cosine":
        own, theirs = cosine_similarity(student), cosine_similarity(peer)
    else:
        own, theirs = _distances(student), _distances(peer)  # (B, B) each
    pairs = drop_self(torch.ones_like(own, dtype=torch.bool))
    if mean_normalised and relation == "distance":
        own, theirs = _normalised(own, pairs), _normalised(theirs, pairs)
    return masked_mean(_PENALTIES[penalty](own, theirs.to(own.dtype)), pairs)


def _distances(points: Tensor) -> Tensor:
    rows = at_least_float32(points)
    return torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")


def _normalised(distances: Tensor, pairs: Tensor) -> Tensor:
    return distances / masked_mean(distances, pairs).clamp(min=SMALLEST_MEAN)


def _huber(own: Tensor, theirs: Tensor) -> Tensor:
    return functional.huber_loss(own, theirs, reduction="none", delta=1.0)


def _absolute(own: Tensor, theirs: Tensor) -> Tensor:
    return (own - theirs).abs()


def _squared(own: Tensor, theirs: Tensor) -> Tensor:
    return (own - theirs).square()


_PENALTIES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "huber": _huber,
    "l1": _absolute,
    "l2": _squared,
}
