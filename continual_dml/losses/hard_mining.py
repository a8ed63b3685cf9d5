"""Hard-mining loss: pairs that compete, each with the same weight."""

from __future__ import annotations

import math

from torch import Tensor, nn

from continual_dml.errors import SettingsError
from continual_dml.miners.competing_pairs import competing_pairs
from continual_dml.similarity import cosine_similarity, hide


class HardMiningLoss(nn.Module):
    """Pulls the hard positives and pushes the hard negatives of each anchor.

    ::

        L = 1/B sum_i [ mean_{p in P_i} (1 - s_ip) + mean_{n in N_i} s_in ]
        P_i: positives with s_ip < max_n s_in + margin        N_i: negatives with s_in > min_p s_ip - margin

    The mean over nothing is 0. The loss falls below 0 where negatives lie more than a right angle apart.

    Source: the metric loss of Liu, Zhao, Zhao 2022, "Online Deep Metric Learning via Mutual Distillation"
    (arXiv 2203.05201), as reconstructed in docs/methods.md. Its means are read as those of each anchor, whose
    bounds choose the pairs.
    """

    def __init__(self, margin: float = 0.1) -> None:
        super().__init__()
        if not (math.isfinite(margin) and margin >= 0):
            raise SettingsError(f"hard-mining loss: the margin is {margin:g}; it must be 0 or more")
        self.margin = margin

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the scalar loss of unit vectors (B, D) with labels (B,); 0 where no pair is worth mining.

        >>> import torch
        >>> points = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.8, 0.6]])  # cosines .6 (positive), .8 and .96
        >>> round(HardMiningLoss()(points, torch.tensor([0, 0, 1])).item() * 3, 4)  # (.4+.8) + (.4+.96) + 0
        2.56
        """
        similarities = cosine_similarity(embeddings)  # (B, B)
        positive, negative = competing_pairs(similarities.detach(), labels, self.margin)
        pull = hide(1 - similarities, positive, 0.0).sum(dim=1) / positive.sum(dim=1).clamp(min=1)
        push = hide(similarities, negative, 0.0).sum(dim=1) / negative.sum(dim=1).clamp(min=1)
        return (pull + push).mean()
