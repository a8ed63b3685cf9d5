"""Maximum mean discrepancy: the new embeddings stay distributed as the old model distributed them."""

from __future__ import annotations

import torch
from torch import Tensor

from continual_dml.settings.checks import between
from continual_dml.similarity import at_least_float32, cosine_similarity

SMALLEST_BANDWIDTH = 1e-3  # a batch collapsed into one point has no scale of its own


def feature_discrepancy(embeddings: Tensor, old_embeddings: Tensor, bandwidth: float | None = None) -> Tensor:
    """Return the squared maximum mean discrepancy between two sets of unit vectors.

    ::

        MMD^2 = mean_ij k(x_i, x_j) + mean_ij k(y_i, y_j) - 2 mean_ij k(x_i, y_j)
        k(u, v) = exp(-|u - v|^2 / (2 s^2))

    Unlike the other terms it compares the two sets as clouds: which image lies where does not matter. All
    pairs count, also those of a point with itself (the biased estimate), which makes the value s' K s for a
    positive definite K: never below 0, and 0 for identical sets.

    Args:
        embeddings: x, (N, D) unit vectors.
        old_embeddings: y, (M, D) unit vectors; detached.
        bandwidth: s; None takes the median distance between the points of both sets, without gradient.

    Returns:
        A scalar between 0 and 2, up to rounding; float32 at least.

    Raises:
        SettingsError: a bandwidth that is not above 0.

    Source: Gretton et al. 2012, "A Kernel Two-Sample Test"; used against forgetting in retrieval by Chen et
    al. 2020, "On the Exploration of Incremental Learning for Fine-grained Image Retrieval" (BMVC).

    >>> import math
    >>> x, y = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])  # |x - y|^2 = 2
    >>> abs(feature_discrepancy(x, y, bandwidth=1.0).item() - (2 - 2 / math.e)) < 1e-6
    True
    """
    new, old = at_least_float32(embeddings), at_least_float32(old_embeddings.detach())
    cosines = cosine_similarity(torch.cat([new, old]))  # (N + M, N + M)
    width = _median_distance(cosines.detach()) if bandwidth is None else bandwidth
    if bandwidth is not None:
        between("bandwidth", bandwidth, SMALLEST_BANDWIDTH, 1e6)
    kernel = torch.exp((cosines - 1) / width**2)  # |u - v|^2 = 2 - 2 u.v between unit vectors
    shares = torch.cat([new.new_full((len(new),), 1 / len(new)), new.new_full((len(old),), -1 / len(old))])
    return (shares[:, None] * kernel * shares[None, :]).sum()


def _median_distance(cosines: Tensor) -> Tensor:
    rows, columns = torch.triu_indices(len(cosines), len(cosines), offset=1, device=cosines.device)
    squared = (2 - 2 * cosines[rows, columns]).median()
    return squared.clamp(min=SMALLEST_BANDWIDTH**2).sqrt()
