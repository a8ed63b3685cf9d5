"""Semi-hard mining: for each positive pair the nearest negative that is still farther than the positive."""

from __future__ import annotations

import torch
from torch import Tensor

from continual_dml.miners.triplets import Triplets
from continual_dml.similarity import hide, pair_masks


@torch.no_grad()
def semi_hard(similarities: Tensor, labels: Tensor) -> Triplets:
    """Return one triplet for each positive pair (anchor, positive) whose anchor has a negative in the batch.

    The negative is the most similar one among those less similar to the anchor than the positive is. Where
    every negative is at least as similar as the positive, the least similar of them is taken, so that no
    badly placed positive goes without a gradient. Of equals the first of the batch is taken.

    Args:
        similarities: (B, B) cosines of the batch.
        labels: (B,) integers.

    Source: Schroff, Kalenichenko, Philbin 2015, "FaceNet" (arXiv 1503.03832), section 3.2.

    >>> cosines = torch.tensor([[1.0, 0.6, 0.7, 0.5], [0.6, 1.0, 0.8, 0.9],
    ...                         [0.7, 0.8, 1.0, 0.0], [0.5, 0.9, 0.0, 1.0]])
    >>> [part.tolist() for part in semi_hard(cosines, torch.tensor([0, 0, 1, 2]))]
    [[0, 1], [1, 0], [3, 2]]
    """
    positive, negative = pair_masks(labels)
    anchor, partner = (positive & negative.any(dim=1, keepdim=True)).nonzero(as_tuple=True)
    if not len(anchor):
        return Triplets(anchor, anchor, anchor)
    rows, allowed = similarities[anchor], negative[anchor]  # (P, B) each, P positive pairs
    farther = allowed & (rows < similarities[anchor, partner][:, None])
    semi = hide(rows, farther, float("-inf")).argmax(dim=1)
    least = hide(rows, allowed, float("inf")).argmin(dim=1)
    return Triplets(anchor, partner, torch.where(farther.any(dim=1), semi, least))
