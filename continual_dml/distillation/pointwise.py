"""Pointwise distillation: each embedding stays near its old place."""

from __future__ import annotations

from torch import Tensor

from continual_dml.similarity import at_least_float32


def anchor_loss(embeddings: Tensor, old_embeddings: Tensor) -> Tensor:
    """Return the mean over images of 1 - cos between an embedding and its old one.

    Relations alone do not fix the frame (rotating all embeddings costs them nothing). This term does, weakly,
    and so keeps the map from the old space to the new one simple.

    Args:
        embeddings: f, (N, D) unit vectors.
        old_embeddings: f_old, (N, D) unit vectors of the same images.

    Returns:
        A scalar between 0 and 2.

    >>> import torch
    >>> anchor_loss(torch.eye(2), torch.tensor([[1.0, 0.0], [0.0, -1.0]])).item()
    1.0
    """
    cosines = (at_least_float32(embeddings) * at_least_float32(old_embeddings)).sum(dim=1)  # (N,)
    return (1 - cosines).mean()
