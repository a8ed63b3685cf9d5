"""The whole way from a stored square to a unit vector as one module, for use without this package."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from continual_dml.embedding.embedder import Embedder
from continual_dml.interchange import IMAGENET_MEAN, IMAGENET_STD
from continual_dml.memory.discriminant_head import SMALLEST_NORM, DiscriminantHead
from continual_dml.strategies.heads import EnsembleHead, Head, TrainedHead

_SMALLEST = torch.finfo(torch.float32).tiny
"""Small enough to change no number, and large enough for the root to have a finite slope."""


class ServedModel(nn.Module):
    """Squares (B, S, S, 3) uint8 to unit embeddings (B, D) and stored features (B, F), float32.

    Cropping, normalisation, all networks of a cohort, their feature map and heads are inside; decoding and
    resizing are not. The weights are copies, laid out plainly.

    Args:
        embedders: the networks, in the order of the cohort.
        head: from their features side by side to the embedding.
    """

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(self, embedders: Sequence[Embedder], head: Head) -> None:
        super().__init__()
        settings = embedders[0].settings
        self.side = settings.image_side_pixels
        self.offset = (settings.stored_side_pixels - self.side) // 2
        self.square_root = settings.takes_square_root
        self.backbones = nn.ModuleList([copy.deepcopy(embedder.backbone) for embedder in embedders])
        self.head = _head(head)
        self.register_buffer("shift", torch.tensor(IMAGENET_MEAN) * 255.0)
        self.register_buffer("scale", torch.tensor(IMAGENET_STD) * 255.0)
        self.to(device="cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self.eval().requires_grad_(requires_grad=False)

    def forward(self, squares: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return embeddings (B, D) and features (B, F) of ``squares`` (B, S, S, 3) uint8."""
        inside = slice(self.offset, self.offset + self.side)
        view = squares[:, inside, inside].float()
        images = ((view - self.shift) / self.scale).permute(0, 3, 1, 2)
        features = torch.cat([backbone(images).flatten(1) for backbone in self.backbones], dim=1)
        if self.square_root:
            # clamped, because the root has no slope at 0 and many features are just that
            features = features.sign() * features.abs().clamp_min(_SMALLEST).sqrt()
        embeddings: torch.Tensor = self.head(features)
        return embeddings, features


class _Affine(nn.Module):
    """``normalise((feature - centre) @ matrix)``; ``undo_root`` squares features first, keeping signs."""

    matrix: torch.Tensor
    centre: torch.Tensor

    def __init__(
        self, matrix: NDArray[np.floating], centre: NDArray[np.floating], *, undo_root: bool
    ) -> None:
        super().__init__()
        self.undo_root = undo_root
        self.register_buffer("matrix", torch.from_numpy(np.array(matrix, dtype=np.float32, order="C")))
        self.register_buffer("centre", torch.from_numpy(np.array(centre, dtype=np.float32)))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return unit embeddings (B, D) of stored features (B, F)."""
        wide = features * features.abs() if self.undo_root else features
        return _unit((wide - self.centre) @ self.matrix)


class _Ensemble(nn.Module):
    """Members' embeddings side by side, reduced where the workspace reduces them."""

    reduction: torch.Tensor | None

    def __init__(self, head: EnsembleHead) -> None:
        super().__init__()
        self.widths = list(head.widths)
        self.heads = nn.ModuleList([_head(one) for one in head.heads])
        reduction = head.reduction
        self.register_buffer(
            "reduction", None if reduction is None else torch.from_numpy(reduction.astype(np.float32))
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return unit embeddings (B, D) of the members' features side by side (B, F)."""
        parts = torch.split(features, self.widths, dim=1)
        joined = torch.cat([head(part) for head, part in zip(self.heads, parts, strict=True)], dim=1)
        return _unit(joined if self.reduction is None else joined @ self.reduction)


def _head(head: Head) -> nn.Module:
    if isinstance(head, EnsembleHead):
        return _Ensemble(head)
    if isinstance(head, TrainedHead):
        nothing = np.zeros(head.weight.shape[1])
        return _Affine(head.weight.T, nothing, undo_root=head.square_root)
    if isinstance(head, DiscriminantHead):
        return _Affine(head.projection, head.centre, undo_root=False)
    raise TypeError(f"no way to serve a {type(head).__name__}")


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    lengths: torch.Tensor = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return vectors / lengths.clamp_min(SMALLEST_NORM)
