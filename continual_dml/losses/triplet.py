"""Triplet loss on cosines over the triplets that a miner chooses."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from continual_dml.errors import SettingsError
from continual_dml.losses.triplet_counts import triplet_counts
from continual_dml.miners.all_triplets import all_triplets
from continual_dml.miners.batch_hard import batch_hard
from continual_dml.miners.triplets import TripletMiner
from continual_dml.similarity import cosine_similarity, pair_masks


class TripletLoss(nn.Module):
    """Wants each positive closer to the anchor than the negative by a margin of cosine.

    ::

        L = mean over triplets of max(0, s_an - s_ap + margin)

    On unit vectors a cosine margin m is a margin of 2 m between squared distances (2 - 2 cos), so the
    default equals the 0.2 of FaceNet. With ``only_violated`` the mean is over the triplets that cost
    something: where a miner takes all, the many easy ones would average the hard ones away. All triplets
    are counted, never listed: memory is that of a few (B, B) tables.

    Source: Schroff, Kalenichenko, Philbin 2015 (arXiv 1503.03832), equation 2; ``only_violated`` from
    Hermans, Beyer, Leibe 2017 (arXiv 1703.07737), section 2 (batch all, non-zero).
    """

    def __init__(
        self, miner: TripletMiner = batch_hard, margin: float = 0.1, *, only_violated: bool = False
    ) -> None:
        super().__init__()
        if not (math.isfinite(margin) and margin >= 0):
            raise SettingsError(f"triplet loss: the margin is {margin:g}; it must be 0 or more")
        self.miner = miner
        self.margin = margin
        self.only_violated = only_violated

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the scalar loss of unit vectors (B, D) with labels (B,); 0 where the batch has no triplet.

        >>> points = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.8, 0.6]])
        >>> round(TripletLoss()(points, torch.tensor([0, 0, 1])).item(), 4)  # .8-.6+.1 = .3, .96-.6+.1 = .46
        0.38
        """
        similarities = cosine_similarity(embeddings)  # (B, B)
        if self.miner is all_triplets:
            return self._over_all(similarities, labels)
        anchor, positive, negative = self.miner(similarities.detach(), labels)
        gaps = similarities[anchor, negative] - similarities[anchor, positive]  # (T,)
        costs = torch.relu(gaps + self.margin)
        counted = (costs != 0) if self.only_violated else torch.ones_like(costs, dtype=torch.bool)
        return costs.sum() / counted.sum().clamp(min=1)

    def _over_all(self, similarities: Tensor, labels: Tensor) -> Tensor:
        counts = triplet_counts(similarities.detach(), labels, self.margin)
        violated = counted = counts.clamp(min=0).sum()
        if not self.only_violated:
            positive, negative = pair_masks(labels)
            counted = (positive.sum(dim=1) * negative.sum(dim=1)).sum()
        # In double precision: similarities that are nearly equal are summed and cancel out.
        costs = (counts * similarities.double()).sum() + self.margin * violated.double()
        return (costs / counted.clamp(min=1)).to(similarities.dtype)
