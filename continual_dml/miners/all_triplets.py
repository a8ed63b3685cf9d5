"""No mining: every triplet of the batch."""

from __future__ import annotations

import torch
from torch import Tensor

from continual_dml.miners.triplets import Triplets
from continual_dml.similarity import pair_masks


@torch.no_grad()
def all_triplets(similarities: Tensor, labels: Tensor) -> Triplets:
    """Return each positive pair (anchor, positive) with each of the anchor's negatives, in that order.

    The largest mask has one row per positive pair, not (B, B, B): 256 images, 4 per class, make 768 rows and
    193,536 triplets.

    Args:
        similarities: (B, B) cosines of the batch; which triplets there are depends on the labels alone.
        labels: (B,) integers.

    >>> [part.tolist() for part in all_triplets(torch.eye(4), torch.tensor([0, 0, 1, 2]))]
    [[0, 0, 1, 1], [1, 1, 0, 0], [2, 3, 2, 3]]
    """
    positive, negative = pair_masks(labels)
    anchor, partner = positive.nonzero(as_tuple=True)  # (P,) each, P positive pairs
    pair, other = negative[anchor].nonzero(as_tuple=True)  # (T,) each
    return Triplets(anchor[pair], partner[pair], other)
