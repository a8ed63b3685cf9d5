"""N-pair loss: each positive against all negatives of its anchor at once."""

from __future__ import annotations

from torch import Tensor, nn

from continual_dml.errors import SettingsError
from continual_dml.similarity import cosine_similarity, log_sum_exp, masked_mean, pair_masks


class NPairLoss(nn.Module):
    """Classifies each positive pair's positive among the anchor's negatives.

    ::

        L = mean over positive pairs (a, p) of log(1 + sum_{n in N_a} exp((s_an - s_ap) / temperature))

    Where an anchor has several positives, each forms a pair of its own and the others are left out of its
    sum (:class:`SupConLoss` counts them in). All images of other classes are negatives; the paper draws two
    images per class and takes one of them. The paper's points have any length, which sets the scale of the
    exponents; on unit vectors the temperature sets it.

    Source: Sohn 2016, "Improved Deep Metric Learning with Multi-class N-pair Loss Objective" (NIPS),
    equation 6; with a temperature as in InfoNCE (van den Oord, Li, Vinyals 2018, arXiv 1807.03748).
    """

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        if not temperature > 0:
            raise SettingsError(f"N-pair loss: the temperature is {temperature:g}; it must be above 0")
        self.temperature = temperature

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the scalar loss of unit vectors (B, D) with labels (B,); 0 where the batch has no triplet.

        >>> import torch
        >>> points = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.8, 0.6]])  # cosines .6 (positive), .8 and .96
        >>> # the mean of log(1 + e^.2) and log(1 + e^.36)
        >>> round(NPairLoss(temperature=1.0)(points, torch.tensor([0, 0, 1])).item(), 4)
        0.8437
        """
        exponents = cosine_similarity(embeddings) / self.temperature  # (B, B)
        positive, negative = pair_masks(labels)
        negatives = log_sum_exp(exponents, negative, dim=1)[:, None]  # (B, 1)
        return masked_mean(nn.functional.softplus(negatives - exponents), positive)
