"""Supervised contrastive loss: InfoNCE with several positives."""

from __future__ import annotations

from torch import Tensor, nn

from continual_dml.errors import SettingsError
from continual_dml.similarity import cosine_similarity, hide, log_sum_exp, pair_masks


class SupConLoss(nn.Module):
    """Classifies each positive among all other images of the batch.

    ::

        L = mean over anchors i with positives of  -1/|P_i| sum_{p in P_i} log softmax_p(s_i / temperature)

    The softmax runs over all images but the anchor. A batch of one class is spread evenly, not left alone.

    Source: Khosla, Teterwak, Wang, Sarna, Tian, Isola, Maschinot, Liu, Krishnan 2020, "Supervised Contrastive
    Learning" (arXiv 2004.11362), equation 2 (the sum outside the logarithm); temperature as in the paper.
    """

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        if not temperature > 0:
            raise SettingsError(f"supcon loss: the temperature is {temperature:g}; it must be above 0")
        self.temperature = temperature

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the scalar loss of unit vectors (B, D) with labels (B,); 0 where no image has a positive.

        >>> import torch
        >>> points = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.8, 0.6]])  # cosines .6 (positive), .8 and .96
        >>> # the mean of log(e^.6 + e^.8) - .6 and log(e^.6 + e^.96) - .6
        >>> round(SupConLoss(temperature=1.0)(points, torch.tensor([0, 0, 1])).item(), 4)
        0.8437
        """
        exponents = cosine_similarity(embeddings) / self.temperature  # (B, B)
        positive, negative = pair_masks(labels)
        surprise = log_sum_exp(exponents, positive | negative, dim=1)[:, None] - exponents  # -log softmax
        positives = positive.sum(dim=1)  # (B,)
        per_anchor = hide(surprise, positive, 0.0).sum(dim=1) / positives.clamp(min=1)
        return per_anchor.sum() / (positives > 0).sum().clamp(min=1)
