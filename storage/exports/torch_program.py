"""The model as a PyTorch program, which ``torch.export.load`` reads without this package."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from continual_dml.interchange import CARD_KEY, ModelCard, preparation

if TYPE_CHECKING:
    from torch.export import ExportedProgram


def torch_bytes(graph: ExportedProgram, card: ModelCard) -> bytes:
    """Return ``graph`` as ``torch.export.save`` writes it, with its card and what pictures need beside it."""
    stream = io.BytesIO()
    texts = {CARD_KEY: card.as_text(), "preprocessing": json.dumps(preparation(card), sort_keys=True)}
    torch.export.save(graph, stream, extra_files=dict(texts))
    return stream.getvalue()


def run_program(
    content: bytes, squares: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what the saved program makes of ``squares`` (N, S, S, 3): (N, D) and (N, F)."""
    module = torch.export.load(io.BytesIO(content)).module()
    with torch.inference_mode():
        embedding, feature = module(torch.from_numpy(squares))
    return embedding.numpy(), feature.numpy()
