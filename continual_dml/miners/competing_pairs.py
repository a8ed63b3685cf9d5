"""Mining of pairs: those that compete with the other kind of their anchor."""

from __future__ import annotations

import torch
from torch import Tensor

from continual_dml.similarity import PairMasks, hide, pair_masks


@torch.no_grad()
def competing_pairs(similarities: Tensor, labels: Tensor, margin: float) -> PairMasks:
    """Keep the negatives near their anchor's farthest positive, and the positives near its nearest negative.

    ::

        negatives with s_n > min s_p - margin        positives with s_p < max s_n + margin

    An anchor without a positive (negative) has an infinite bound, which keeps none of its other pairs.
    The comparisons ask what to leave out, so that a similarity that is not a number stays and shows in
    the loss.

    Args:
        similarities: (B, B) cosines of the batch.
        labels: (B,) integers.
        margin: how much of a cosine a pair may be easier than the hardest one of the other kind.

    Source: Wang, Han, Huang, Dong, Scott 2019 (arXiv 1904.06627), equations 7 and 8.

    >>> cosines = torch.tensor([[1.0, 0.9, 0.2, 0.7], [0.9, 1.0, 0.5, 0.1],
    ...                         [0.2, 0.5, 1.0, 0.1], [0.7, 0.1, 0.1, 1.0]])
    >>> kept = competing_pairs(cosines, torch.tensor([0, 0, 0, 1]), margin=0.1)
    >>> kept.positive.int().tolist()[0], kept.negative.int().tolist()[0]  # .9 is above .7 + .1
    ([0, 0, 1, 0], [0, 0, 0, 1])
    """
    positive, negative = pair_masks(labels)
    farthest_positive = hide(similarities, positive, torch.inf).amin(dim=1, keepdim=True)
    nearest_negative = hide(similarities, negative, -torch.inf).amax(dim=1, keepdim=True)
    return PairMasks(
        positive=positive & ~(similarities - margin >= nearest_negative),
        negative=negative & ~(similarities + margin <= farthest_positive),
    )
