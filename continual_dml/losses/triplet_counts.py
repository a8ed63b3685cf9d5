"""How often each pair of a batch counts in the sum over all its triplets, without listing them."""

from __future__ import annotations

import torch
from torch import Tensor

from continual_dml.similarity import hide, pair_masks


@torch.no_grad()
def triplet_counts(similarities: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Return in how many violated triplets each pair (anchor, other) is: negatives above 0, positives below.

    A triplet (a, p, n) is violated where ``s_an > s_ap - margin``. The sum of ``s_an - s_ap`` over all that
    are is the sum of the similarities times these counts, which is also their gradient. Each negative is
    looked up among its anchor's positives in order, O(B^2 log K) for K images per class; a triplet list
    would be O(B^2 K).

    Args:
        similarities: (B, B) cosines of the batch.
        labels: (B,) integers.
        margin: of a cosine.

    Returns:
        (B, B) int64; 0 for pairs in no violated triplet.

    >>> cosines = torch.tensor([[1.0, 0.6, 0.8], [0.6, 1.0, 0.4], [0.8, 0.4, 1.0]])
    >>> triplet_counts(cosines, torch.tensor([0, 0, 1]), margin=0.1).tolist()  # .8 is above .5, .4 is not
    [[0, -1, 1], [0, 0, 0], [0, 0, 0]]
    """
    positive, negative = pair_masks(labels)
    most = int(positive.sum(dim=1).amax()) if len(labels) else 0
    if not most:
        return torch.zeros_like(similarities, dtype=torch.int64)
    farthest = hide(similarities, positive, torch.inf).topk(most, dim=1, largest=False)  # (B, K-1)
    # What is hidden as a positive bounds nothing, what is hidden as a negative passes no bound.
    passed = torch.searchsorted(farthest.values - margin, hide(similarities, negative, -torch.inf))
    first = torch.arange(len(labels), device=labels.device)[:, None] * (most + 1)
    reached = torch.bincount((first + passed).flatten(), minlength=len(labels) * (most + 1))
    # A negative that passes j bounds passes the j lowest ones.
    beyond = reached.view(-1, most + 1).flip(1).cumsum(dim=1).flip(1)[:, 1:]
    return passed.scatter_add(1, farthest.indices, -beyond)
