"""Binomial deviance: every pair of the batch as a two-way classification."""

from __future__ import annotations

from torch import Tensor, nn

from continual_dml.errors import SettingsError
from continual_dml.similarity import cosine_similarity, masked_mean, pair_masks


class BinomialDevianceLoss(nn.Module):
    """Wants positives above one cosine and negatives below it, negatives far more strictly.

    ::

        L = mean over positives of log(1 + exp(-alpha (s - base)))
          + mean over negatives of log(1 + exp( beta  (s - base)))

    Source: Yi, Lei, Li 2014, "Deep Metric Learning for Practical Person Re-Identification"
    (arXiv 1407.4979); alpha, beta and base as in docs/methods.md.
    """

    def __init__(self, alpha: float = 2.0, beta: float = 40.0, base: float = 0.5) -> None:
        super().__init__()
        if not (alpha > 0 and beta > 0):
            raise SettingsError(f"binomial deviance: alpha {alpha:g} and beta {beta:g} must be above 0")
        self.alpha = alpha
        self.beta = beta
        self.base = base

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the scalar loss of unit vectors (B, D) with labels (B,).

        A batch without positives (negatives) counts 0 for them.

        >>> import torch
        >>> points = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.8, 0.6]])  # cosines .6 (positive), .8 and .96
        >>> # log(1 + e^-.2) = .5981; the mean of log(1 + e^12) and log(1 + e^18.4) is 15.2
        >>> round(BinomialDevianceLoss()(points, torch.tensor([0, 0, 1])).item(), 4)
        15.7981
        """
        above = cosine_similarity(embeddings) - self.base  # (B, B)
        positive, negative = pair_masks(labels)
        pull = masked_mean(nn.functional.softplus(-self.alpha * above), positive)
        return pull + masked_mean(nn.functional.softplus(self.beta * above), negative)
