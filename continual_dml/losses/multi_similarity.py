"""Multi-similarity loss over the pairs that compete."""

from __future__ import annotations

from torch import Tensor, nn

from continual_dml.errors import SettingsError
from continual_dml.miners.competing_pairs import competing_pairs
from continual_dml.similarity import cosine_similarity, log_one_plus_sum_exp


class MultiSimilarityLoss(nn.Module):
    """Weighs each pair by its own similarity and by those of the anchor's other pairs.

    ::

        L = 1/B sum_i [ 1/alpha log(1 + sum_{p in P_i} exp(-alpha (s_ip - base)))
                      + 1/beta  log(1 + sum_{n in N_i} exp( beta  (s_in - base))) ]
        P_i: positives with s_ip < max_n s_in + epsilon        N_i: negatives with s_in > min_p s_ip - epsilon

    Source: Wang, Han, Huang, Dong, Scott 2019, "Multi-Similarity Loss with General Pair Weighting for Deep
    Metric Learning" (arXiv 1904.06627), equations 7, 8 and 15; alpha, beta, base and epsilon as in its public
    settings.
    """

    def __init__(
        self, alpha: float = 2.0, beta: float = 40.0, base: float = 0.5, epsilon: float = 0.1
    ) -> None:
        super().__init__()
        if alpha <= 0 or beta <= 0:
            raise SettingsError(f"multi-similarity loss: alpha {alpha:g} and beta {beta:g} must be above 0")
        self.alpha = alpha
        self.beta = beta
        self.base = base
        self.epsilon = epsilon

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the scalar loss of unit vectors (B, D) with labels (B,); 0 where no pair is worth mining.

        >>> import torch
        >>> points = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.8, 0.6]])  # cosines .6 (positive), .8 and .96
        >>> # [log(1 + e^-.2)/2 + .3] + [log(1 + e^-.2)/2 + .46] + 0 for the third, which has no positive
        >>> round(MultiSimilarityLoss()(points, torch.tensor([0, 0, 1])).item() * 3, 4)
        1.3581
        """
        similarities = cosine_similarity(embeddings)  # (B, B)
        positive, negative = competing_pairs(similarities.detach(), labels, self.epsilon)
        above = similarities - self.base
        pull = log_one_plus_sum_exp(-self.alpha * above, positive, dim=1) / self.alpha
        push = log_one_plus_sum_exp(self.beta * above, negative, dim=1) / self.beta
        return (pull + push).mean()
