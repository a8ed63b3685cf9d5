"""SoftTriple: normalised softmax with several centres per class."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from continual_dml.errors import SettingsError
from continual_dml.losses.known_classes import class_rows, distinct_classes
from continual_dml.losses.proxies import proxy_cosines, random_proxies

SMALLEST_SQUARE = 1e-5
"""Added to squared distances of centres, as the authors do: the square root has no gradient at 0."""


class SoftTripleLoss(nn.Module):
    """Classifies by the similarity to classes, each a soft maximum over the class's K centres.

    ::

        S_c = sum_k softmax_k(s(x, w_ck) / gamma) s(x, w_ck)
        L   = mean over images of -log softmax_c(scale (S - margin e_c)),   c the image's class, e_c its axis
            + tau / (C K (K-1)) sum_c sum_{k < l} sqrt(2 - 2 w_ck' w_cl)

    The last term draws the centres of one class together, so that it may use fewer than K.

    Source: Qian, Shang, Sun, Hu, Li, Jin 2019, "SoftTriple Loss: Deep Metric Learning Without Triplet
    Sampling" (arXiv 1909.05235), equations 6, 7 and 9; the constants and the centres' rate are the paper's.

    Args:
        class_ids: (C,) ids that labels may have, distinct; ``centres[c]`` belongs to the c-th smallest.
        dimension: D, length of an embedding.
        centres_per_class: K, at least 1. The paper takes 10 where classes have about 60 images and 2 where
            they have about 5; with more centres than a class has groups its images need not meet.
        scale: what similarities are multiplied by.
        gamma: temperature of the soft maximum; the smaller, the harder.
        margin: cosine by which the image's own class must be better.
        tau: weight of the last term.

    Raises:
        SettingsError: no class, a class twice, or a constant that cannot work.
    """

    learning_rate: ClassVar[float] = 1e-2
    class_ids: Tensor

    def __init__(
        self,
        class_ids: Tensor,
        dimension: int,
        centres_per_class: int = 2,
        scale: float = 20.0,
        gamma: float = 0.1,
        margin: float = 0.01,
        tau: float = 0.2,
    ) -> None:
        super().__init__()
        if not (centres_per_class >= 1 and scale > 0 and gamma > 0 and margin >= 0 and tau >= 0):
            raise SettingsError(
                f"soft-triple loss: {centres_per_class} centres per class, scale {scale:g}, gamma {gamma:g}, "
                f"margin {margin:g}, tau {tau:g}; it needs 1 centre or more, scale and gamma above 0, margin "
                "and tau at least 0"
            )
        self.scale = scale
        self.gamma = gamma
        self.margin = margin
        self.tau = tau
        self.register_buffer("class_ids", distinct_classes(class_ids, "soft-triple"))
        classes = len(self.class_ids)
        drawn = random_proxies(classes * centres_per_class, dimension)
        self.centres = nn.Parameter(drawn.detach().view(classes, centres_per_class, dimension))

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the scalar loss of unit vectors (B, D) with labels (B,).

        Raises:
            TrainingError: a label is none of the classes.

        >>> loss = SoftTripleLoss(torch.tensor([4, 9]), 2, centres_per_class=1, scale=1.0, margin=0.1)
        >>> _ = loss.centres.data.copy_(torch.eye(2)[:, None])
        >>> point = torch.tensor([[0.6, 0.8]])
        >>> round(loss(point, torch.tensor([4])).item(), 4)  # log(1 + e^(.8 - (.6 - .1)))
        0.8544
        """
        rows = class_rows(labels, self.class_ids, "soft-triple")
        cosines = proxy_cosines(embeddings, self.centres.flatten(0, 1))  # (B, C K)
        cosines = cosines.view(len(embeddings), *self.centres.shape[:2])  # (B, C, K)
        similarities = (torch.softmax(cosines / self.gamma, dim=2) * cosines).sum(dim=2)  # (B, C)
        own = nn.functional.one_hot(rows, similarities.shape[1]).to(similarities.dtype)
        logits = self.scale * (similarities - self.margin * own)
        return nn.functional.cross_entropy(logits, rows) + self.tau * self._spread_of_centres()

    def _spread_of_centres(self) -> Tensor:
        """Return half the mean distance between two centres of one class; 0 where a class has only one."""
        classes, count = self.centres.shape[:2]
        directions = nn.functional.normalize(self.centres, dim=2)
        first, second = torch.triu_indices(count, count, offset=1, device=directions.device)
        cosines = (directions[:, first] * directions[:, second]).sum(dim=2)  # (C, K (K-1) / 2)
        distances = ((2 - 2 * cosines).clamp(min=0) + SMALLEST_SQUARE).sqrt()
        return distances.sum() / (classes * max(1, count * (count - 1)))
