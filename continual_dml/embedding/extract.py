"""Feature extraction: many images through one embedder, in batches, without gradients."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from continual_dml.embedding.embedder import Embedder
from continual_dml.embedding.precision import Compute
from continual_dml.embedding.preprocessing import centre_crop, normalised
from continual_dml.pixels import PixelRows
from continual_dml.ports import ProgressListener

BATCH_IMAGES = 64


class Extracted(NamedTuple):
    """Stored features (N, F) and raw outputs (N, D) of N images, both float32."""

    features: NDArray[np.float32]
    outputs: NDArray[np.float32]


def feature_map(features: NDArray[np.float32], square_root: bool) -> NDArray[np.float32]:
    """Return sign(p) sqrt|p| of pooled features (N, F), or the features themselves.

    The root evens out a few dominant channels before second moments are taken of them.
    """
    return np.sign(features) * np.sqrt(np.abs(features)) if square_root else features


def extract(
    embedder: Embedder, pixels: PixelRows, compute: Compute, listener: ProgressListener | None = None
) -> Extracted:
    """Return features and raw outputs of stored squares (N, S, S, 3), seen through their centre crop."""
    was_training = embedder.training
    embedder.eval()
    count, settings = len(pixels), embedder.settings
    features = np.empty((count, embedder.feature_dim), dtype=np.float32)
    outputs = np.empty((count, settings.embedding_dim), dtype=np.float32)
    with torch.inference_mode(), compute.autocast():
        for start in range(0, count, BATCH_IMAGES):
            rows = slice(start, min(start + BATCH_IMAGES, count))
            view = centre_crop(pixels[rows], settings.image_side_pixels)
            batch = embedder(normalised(view, compute.device))
            features[rows] = batch.features.cpu().numpy()
            outputs[rows] = batch.outputs.cpu().numpy()
            if listener is not None:
                listener.advance(rows.stop - rows.start)
    embedder.train(was_training)
    return Extracted(feature_map(features, settings.takes_square_root), outputs)
