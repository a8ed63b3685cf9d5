"""Embed images that lie in files, a few hundred at a time, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from continual_dml.embedding.embedder import Embedder
from continual_dml.embedding.extract import extract_each, side_by_side
from continual_dml.embedding.kept_chunks import Arrays, in_chunks, name_of
from continual_dml.embedding.precision import Compute
from continual_dml.ports import ImageReader, ProgressListener, Shards


def embed_files(
    paths: Sequence[str],
    hashes: Sequence[str],
    embedders: Sequence[Embedder],
    compute: Compute,
    reader: ImageReader,
    listener: ProgressListener,
    shards: Shards | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the stored features (n, sum of F) of the readable files, and their positions (n,) in ``paths``.

    Args:
        paths: of N image files.
        hashes: SHA-256 that each file must have; one that is missing or differs is left out.
        embedders: the live networks.
        compute: device and precision.
        reader: decodes files.
        listener: advanced by one per file.
        shards: what an interrupted run has kept is taken over from there; None where nothing is kept.
    """

    def embed(rows: NDArray[np.int64]) -> Arrays:
        pixels, found = reader.read([paths[row] for row in rows], [hashes[row] for row in rows])
        return {"features": side_by_side(extract_each(embedders, pixels, compute)), "positions": rows[found]}

    def chunk(start: int, stop: int) -> Arrays:
        listener.advance(stop - start)
        return embed(np.arange(start, stop))

    def take_over(kept: Arrays, start: int, stop: int) -> Arrays:
        listener.advance(stop - start)
        missed = np.setdiff1d(np.arange(start, stop), kept["positions"])
        if not len(missed):
            return kept
        late = embed(missed)  # a file may have come back since
        order = np.argsort(np.concatenate([kept["positions"], late["positions"]]))
        return {key: np.concatenate([kept[key], late[key]])[order] for key in kept}

    features = np.empty((len(paths), sum(one.feature_dim for one in embedders)), dtype=np.float32)
    positions = np.empty(len(paths), dtype=np.int64)
    name = name_of(embedders, hashes) if shards is not None else ""
    reached = 0
    for found in in_chunks(len(paths), name, chunk, take_over, shards, listener):
        rows = slice(reached, reached + len(found["positions"]))
        features[rows], positions[rows] = found["features"], found["positions"]
        reached = rows.stop
    return features[:reached], positions[:reached]
