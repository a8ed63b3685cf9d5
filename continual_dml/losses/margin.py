"""Margin loss: a learnable distance per class tells near from far."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from continual_dml.errors import SettingsError
from continual_dml.losses.known_classes import class_rows, distinct_classes
from continual_dml.miners.distance_weighted import DistanceWeighted
from continual_dml.miners.triplets import TripletMiner
from continual_dml.similarity import cosine_similarity

SMALLEST_SQUARE = 1e-8
"""Added to squared distances, as the authors do: the square root has no gradient at 0."""


class MarginLoss(nn.Module):
    """Wants positives nearer to their anchor than its class's boundary beta, and negatives farther.

    ::

        L = sum over triplets of [ max(0, margin + d_ap - beta_c) + max(0, margin + beta_c - d_an) ]
            / number of its terms above 0,        c the anchor's class, d = sqrt(2 - 2 s)

    Boundaries are not regularised (the paper's nu is 0).

    Source: Wu, Manmatha, Smola, Krähenbühl 2017 (arXiv 1706.07567), section 4; margin, beta and nu are the
    paper's. The rate of beta is that of Roth, Milbich, Sinha, Gupta, Ommer, Cohen 2020 (arXiv 2002.08473).

    Args:
        class_ids: (C,) ids that labels may have, distinct; row c of ``beta`` belongs to the c-th smallest.
        dimension: D, length of an embedding; distance-weighted sampling depends on it.
        margin: a distance.
        beta: the distance that all boundaries start from.
        miner: what chooses the triplets; distance-weighted sampling where omitted.

    Raises:
        SettingsError: no class, a class twice, or a margin or boundary outside 0 to 2.
    """

    learning_rate: ClassVar[float] = 5e-4
    class_ids: Tensor

    def __init__(
        self,
        class_ids: Tensor,
        dimension: int,
        margin: float = 0.2,
        beta: float = 1.2,
        miner: TripletMiner | None = None,
    ) -> None:
        super().__init__()
        if not (0 <= margin <= 2 and 0 < beta < 2):
            raise SettingsError(
                f"margin loss: the margin is {margin:g} and beta {beta:g}; both are distances "
                "of unit vectors, between 0 and 2"
            )
        self.margin = margin
        self.miner = DistanceWeighted(dimension) if miner is None else miner
        self.register_buffer("class_ids", distinct_classes(class_ids, "margin"))
        self.beta = nn.Parameter(torch.full((len(self.class_ids),), beta))

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the scalar loss of unit vectors (B, D) with labels (B,); 0 where the batch has no triplet.

        Raises:
            TrainingError: a label is none of the classes.

        >>> points = torch.tensor([[1.0, 0.0], [0.28, 0.96], [0.28, -0.96]])  # distances 1.2, 1.2 and 1.92
        >>> loss = MarginLoss(torch.tensor([0, 1]), 2, beta=1.1)
        >>> round(loss(points, torch.tensor([0, 0, 1])).item(), 4)  # (.3 + .3 + .1 + 0) / 3 terms above 0
        0.2333
        """
        beta = self.beta[class_rows(labels, self.class_ids, "margin")]  # (B,)
        similarities = cosine_similarity(embeddings)  # (B, B)
        anchor, positive, negative = self.miner(similarities.detach(), labels)
        distances = ((2 - 2 * similarities).clamp(min=0) + SMALLEST_SQUARE).sqrt()
        pull = torch.relu(self.margin + distances[anchor, positive] - beta[anchor])  # (T,)
        push = torch.relu(self.margin + beta[anchor] - distances[anchor, negative])
        return (pull + push).sum() / ((pull != 0).sum() + (push != 0).sum()).clamp(min=1)
