"""Batches that are larger than memory: a network sees them in chunks, the losses see them whole.

Of a chunk only the embeddings are kept. When the gradient of the losses with respect to all embeddings is
known, each chunk goes through the network once more, with the same draws of layers such as dropout, and its
part of the gradient goes on to the weights. So a step needs the memory of one chunk, goes forward twice,
and ends where it would with the whole batch, up to rounding.

Source: Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup (arXiv 2101.06983).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from continual_dml.embedding.embedder import Embedder
from continual_dml.embedding.precision import Compute


def embedded(network: Embedder, view: Tensor, compute: Compute, chunk_images: int | None) -> Tensor:
    """Return the embeddings (B, D) that ``network`` gives of a batch.

    Args:
        network: in training mode or not; layers that look at the batch as a whole would see chunks.
        view: (B, ...) what it looks at.
        compute: device and precision.
        chunk_images: largest number of images at once; None for all of them.
    """

    def one(chunk: Tensor) -> Tensor:
        with compute.autocast():  # of each chunk alone, so that it casts the same weights the second time
            return cast("Tensor", network(chunk).embeddings)

    if chunk_images is None or len(view) <= chunk_images:
        return one(view)
    chunks = torch.split(view, chunk_images)
    if not torch.is_grad_enabled():
        return torch.cat([one(chunk) for chunk in chunks])
    return torch.cat([cast("Tensor", checkpoint(one, chunk, use_reentrant=False)) for chunk in chunks])
