"""Embed images that lie in files, a few hundred at a time, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from continual_dml.embedding.embedder import Embedder
from continual_dml.embedding.extract import extract_each, side_by_side
from continual_dml.embedding.precision import Compute
from continual_dml.ports import ImageReader, ProgressListener

CHUNK_IMAGES = 512


def embed_files(
    paths: Sequence[str],
    hashes: Sequence[str],
    embedders: Sequence[Embedder],
    compute: Compute,
    reader: ImageReader,
    listener: ProgressListener,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the stored features (n, sum of F) of the readable files, and their positions (n,) in ``paths``.

    Args:
        paths: of N image files.
        hashes: SHA-256 that each file must have; one that is missing or differs is left out.
        embedders: the live networks.
        compute: device and precision.
        reader: decodes files.
        listener: advanced by one per file.
    """
    width = sum(embedder.feature_dim for embedder in embedders)
    features = [np.empty((0, width), dtype=np.float32)]
    positions = [np.empty(0, dtype=np.int64)]
    for start in range(0, len(paths), CHUNK_IMAGES):
        rows = slice(start, start + CHUNK_IMAGES)
        pixels, found = reader.read(paths[rows], hashes[rows])
        features.append(side_by_side(extract_each(embedders, pixels, compute)))
        positions.append(found + start)
        listener.advance(len(paths[rows]))
    return np.concatenate(features), np.concatenate(positions)
