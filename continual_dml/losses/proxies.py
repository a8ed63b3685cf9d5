"""Proxies: learnable points that stand for classes. Their direction counts, not their length."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from continual_dml.similarity import cosine_similarity


def random_proxies(count: int, dimension: int) -> nn.Parameter:
    """Return proxies (count, dimension) in random directions.

    They start at unit length. The length sets how fast a proxy turns: one step of Adam at rate r moves it by
    up to r sqrt(dimension).
    """
    return nn.Parameter(nn.functional.normalize(torch.randn(count, dimension), dim=1))


def proxy_cosines(embeddings: Tensor, proxies: Tensor) -> Tensor:
    """Return the cosines between unit vectors (B, D) and proxies (P, D) of any length; (B, P).

    >>> points = torch.tensor([[0.6, 0.8]])
    >>> [round(s, 4) for s in proxy_cosines(points, torch.tensor([[5.0, 0.0], [0.0, 0.1]]))[0].tolist()]
    [0.6, 0.8]
    """
    return cosine_similarity(embeddings, nn.functional.normalize(proxies, dim=1))
