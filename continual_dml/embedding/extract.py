"""Feature extraction: many images through one embedder, in batches, without gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from continual_dml.embedding.embedder import Embedder
from continual_dml.embedding.precision import Compute
from continual_dml.embedding.preprocessing import centre_crop, normalised
from continual_dml.embedding.stages import distinct_trunks
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
    return extract_each([embedder], pixels, compute, listener)[0]


def extract_each(
    embedders: Sequence[Embedder],
    pixels: PixelRows,
    compute: Compute,
    listener: ProgressListener | None = None,
) -> list[Extracted]:
    """Return what each embedder makes of the same squares (N, S, S, 3), which are read once.

    Frozen trunks with the same weights are run once for all embedders that have them.
    """
    were_training = [embedder.training for embedder in embedders]
    count = len(pixels)
    results = [room_for(embedder.eval(), count) for embedder in embedders]
    trunks, trunk_of = distinct_trunks([embedder.halves for embedder in embedders])
    with torch.inference_mode(), compute.autocast():
        for start in range(0, count, BATCH_IMAGES):
            rows = slice(start, min(start + BATCH_IMAGES, count))
            view = centre_crop(pixels[rows], embedders[0].settings.image_side_pixels)
            images = normalised(view, compute.device)
            seen = [trunk.trunk(images) for trunk in trunks]
            for embedder, result, number in zip(embedders, results, trunk_of, strict=True):
                batch = embedder(images if number is None else seen[number])
                result.features[rows] = batch.features.cpu().numpy()
                result.outputs[rows] = batch.outputs.cpu().numpy()
            if listener is not None:
                listener.advance(rows.stop - rows.start)
    for embedder, was_training in zip(embedders, were_training, strict=True):
        embedder.train(was_training)
    square_root = embedders[0].settings.takes_square_root
    return [Extracted(feature_map(result.features, square_root), result.outputs) for result in results]


def side_by_side(extracted: Sequence[Extracted]) -> NDArray[np.float32]:
    """Return the stored features (N, sum of F) of a cohort: its members' features side by side."""
    if len(extracted) == 1:
        return extracted[0].features
    return np.concatenate([member.features for member in extracted], axis=1)


def room_for(embedder: Embedder, count: int) -> Extracted:
    """Return arrays, not filled yet, for what ``embedder`` makes of ``count`` images."""
    outputs = np.empty((count, embedder.settings.embedding_dim), dtype=np.float32)
    return Extracted(np.empty((count, embedder.feature_dim), dtype=np.float32), outputs)
