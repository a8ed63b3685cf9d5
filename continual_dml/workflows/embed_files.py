"""Embed images that lie in files, a few hundred at a time, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from continual_dml.embedding.embedder import Embedder
from continual_dml.embedding.extract import extract
from continual_dml.embedding.precision import Compute
from continual_dml.ports import ImageReader, ProgressListener

CHUNK_IMAGES = 512


def embed_files(
    paths: Sequence[str],
    hashes: Sequence[str],
    embedder: Embedder,
    compute: Compute,
    reader: ImageReader,
    listener: ProgressListener,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the stored features (n, F) of the files that can be read, and their positions (n,) in ``paths``.

    Args:
        paths: of N image files.
        hashes: SHA-256 that each file must have; one that is missing or differs is left out.
        embedder: the live model.
        compute: device and precision.
        reader: decodes files.
        listener: advanced by one per file.
    """
    features = [np.empty((0, embedder.feature_dim), dtype=np.float32)]
    positions = [np.empty(0, dtype=np.int64)]
    for start in range(0, len(paths), CHUNK_IMAGES):
        rows = slice(start, start + CHUNK_IMAGES)
        pixels, found = reader.read(paths[rows], hashes[rows])
        features.append(extract(embedder, pixels, compute).features)
        positions.append(found + start)
        listener.advance(len(paths[rows]))
    return np.concatenate(features), np.concatenate(positions)
