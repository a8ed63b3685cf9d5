"""Proxy-anchor loss: one learnable proxy per class stands for the class as an anchor."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from continual_dml.errors import SettingsError
from continual_dml.losses.known_classes import class_rows, distinct_classes
from continual_dml.losses.proxies import proxy_cosines
from continual_dml.similarity import log_one_plus_sum_exp


class ProxyAnchorLoss(nn.Module):
    """Compares each image with the proxies of all classes of the task.

    ::

        L = 1/|P+| sum_{p in P+} log(1 + sum_{x of p's class}    exp(-alpha (s(x, p) - delta)))
          + 1/|P|  sum_{p in P}  log(1 + sum_{x of other classes} exp( alpha (s(x, p) + delta)))

    P are all proxies, P+ those whose class is in the batch. Proxies may have any length; their direction
    counts.

    Source: Kim, Kim, Cho, Kwak 2020, "Proxy Anchor Loss for Deep Metric Learning" (arXiv 2003.13911),
    equation 4; alpha and delta are the paper's.

    Args:
        class_ids: (C,) ids that labels may have, distinct; row c of ``proxies`` belongs to the c-th smallest.
        dimension: D, length of an embedding.
        alpha: scale of the exponents.
        delta: margin of cosine.

    Raises:
        SettingsError: no class, a class twice, or a scale that is not above 0.
    """

    learning_rate: ClassVar[float] = 1e-2
    class_ids: Tensor

    def __init__(self, class_ids: Tensor, dimension: int, alpha: float = 32.0, delta: float = 0.1) -> None:
        super().__init__()
        if alpha <= 0:
            raise SettingsError(f"proxy-anchor loss: alpha is {alpha:g}; it must be above 0")
        self.alpha = alpha
        self.delta = delta
        self.register_buffer("class_ids", distinct_classes(class_ids, "proxy-anchor"))
        # The authors' initial scale (He, fan out). It sets how fast a proxy turns, not where it points.
        classes = len(self.class_ids)
        self.proxies = nn.Parameter(torch.randn(classes, dimension) * math.sqrt(2 / classes))

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the scalar loss of unit vectors (B, D) with labels (B,).

        Raises:
            TrainingError: a label is none of the classes.

        >>> loss = ProxyAnchorLoss(torch.tensor([4, 9]), 2)
        >>> _ = loss.proxies.data.copy_(torch.eye(2))
        >>> # s = .1 to its own proxy: log(1 + e^0); s = -.1 to the other one: log(1 + e^0) / 2 proxies
        >>> point = torch.tensor([[0.1, -0.1]])
        >>> round(loss(point, torch.tensor([4])).item(), 4)
        1.0397
        """
        rows = class_rows(labels, self.class_ids, "proxy-anchor")
        belongs = nn.functional.one_hot(rows, len(self.class_ids)).bool()  # (B, C)
        similarities = proxy_cosines(embeddings, self.proxies)  # (B, C)
        pull = log_one_plus_sum_exp(-self.alpha * (similarities - self.delta), belongs, dim=0)  # (C,)
        push = log_one_plus_sum_exp(self.alpha * (similarities + self.delta), ~belongs, dim=0)
        return pull.sum() / belongs.any(dim=0).sum().clamp(min=1) + push.mean()
