"""Contrastive loss on cosines."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from continual_dml.errors import SettingsError
from continual_dml.similarity import cosine_similarity, masked_mean, pair_masks


class ContrastiveLoss(nn.Module):
    """Pulls positives above one cosine and pushes negatives below another.

    ::

        L = mean over violating positives of (positive_margin - s)
          + mean over violating negatives of (s - negative_margin)

    A pair violates where its term is above 0. Means over the violating pairs alone keep the few hard
    negatives of a large batch from being averaged away by the many easy ones.

    Source: Hadsell, Chopra, LeCun 2006, "Dimensionality Reduction by Learning an Invariant Mapping", with
    cosines in place of distances.
    """

    def __init__(self, positive_margin: float = 1.0, negative_margin: float = 0.5) -> None:
        super().__init__()
        if not -1 <= negative_margin <= positive_margin <= 1:
            raise SettingsError(
                f"contrastive loss: the margins are {positive_margin:g} for positives, "
                f"{negative_margin:g} for negatives; both are cosines, and the first must not be lower"
            )
        self.positive_margin = positive_margin
        self.negative_margin = negative_margin

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of unit vectors (B, D) with labels (B,); 0 where no pair violates its margin.

        >>> points = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.8, 0.6]])
        >>> round(ContrastiveLoss()(points, torch.tensor([0, 0, 1])).item(), 4)  # .4 + mean(.3, .46)
        0.78
        """
        similarities = cosine_similarity(embeddings)  # (B, B)
        positive, negative = pair_masks(labels)
        too_far = torch.relu(self.positive_margin - similarities)
        too_close = torch.relu(similarities - self.negative_margin)
        # "not 0" and not "above 0": a similarity that is not a number must show in the loss.
        pull = masked_mean(too_far, positive & (too_far != 0))
        return pull + masked_mean(too_close, negative & (too_close != 0))
