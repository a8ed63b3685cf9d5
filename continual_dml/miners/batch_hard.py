"""Batch-hard mining: for each anchor its farthest positive and its nearest negative."""

from __future__ import annotations

import torch
from torch import Tensor

from continual_dml.miners.triplets import Triplets
from continual_dml.similarity import hide, pair_masks


@torch.no_grad()
def batch_hard(similarities: Tensor, labels: Tensor) -> Triplets:
    """Return one triplet for each anchor that has both a positive and a negative in the batch.

    Of equally hard items the first of the batch is taken.

    Args:
        similarities: (B, B) cosines of the batch.
        labels: (B,) integers.

    Source: Hermans, Beyer, Leibe 2017, "In Defense of the Triplet Loss" (arXiv 1703.07737), equation 5.

    >>> cosines = torch.tensor([[1.0, 0.9, 0.2, 0.7], [0.9, 1.0, 0.5, 0.6],
    ...                         [0.2, 0.5, 1.0, 0.1], [0.7, 0.6, 0.1, 1.0]])
    >>> [part.tolist() for part in batch_hard(cosines, torch.tensor([0, 0, 0, 1]))]
    [[0, 1, 2], [2, 2, 0], [3, 3, 3]]
    """
    positive, negative = pair_masks(labels)
    anchor = (positive.any(dim=1) & negative.any(dim=1)).nonzero().squeeze(1)
    if not len(anchor):
        return Triplets(anchor, anchor, anchor)
    farthest = hide(similarities, positive, float("inf")).argmin(dim=1)
    nearest = hide(similarities, negative, float("-inf")).argmax(dim=1)
    return Triplets(anchor, farthest[anchor], nearest[anchor])
