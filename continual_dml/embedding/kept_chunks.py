"""Many images embedded chunk by chunk; what an interrupted run has kept of them is taken over."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.embedding.embedder import Embedder, embedder_state
from continual_dml.embedding.extract import BATCH_IMAGES, Extracted, extract_each, room_for
from continual_dml.embedding.precision import Compute
from continual_dml.pixels import PixelRows
from continual_dml.ports import ProgressListener, Shards

# Whole batches, so that an image is always embedded beside the same others: their number decides last bits.
CHUNK_IMAGES = 8 * BATCH_IMAGES
Arrays = Mapping[str, NDArray[Any]]


def in_chunks(
    count: int,
    name: str,
    embed: Callable[[int, int], Arrays],
    take_over: Callable[[Arrays, int, int], Arrays],
    shards: Shards | None,
    listener: ProgressListener,
) -> Iterator[Arrays]:
    """Yield what ``embed`` makes of rows ``start`` to ``stop``, for each chunk of ``count`` rows in turn.

    Args:
        count: number of rows.
        name: of all that decides the result, see :func:`name_of`; no two lists of a run share one.
        embed: given start and stop.
        take_over: given a chunk that was kept, start and stop; returns what is to be used of it now.
        shards: where chunks of the same run are kept; None where none are.
        listener: told of chunks that are taken over, and why none can be kept.
    """
    taken = 0
    for start in range(0, count, CHUNK_IMAGES):
        stop = min(start + CHUNK_IMAGES, count)
        kept = None if shards is None else shards.find(f"{name}.{start}")
        if kept is not None:
            taken += stop - start
            yield take_over(kept, start, stop)
            continue
        chunk = embed(start, stop)
        problem = None if shards is None else shards.keep(f"{name}.{start}", chunk)
        if problem is not None:
            listener.note(f"an interruption would lose what is embedded so far: {problem}")
        yield chunk
    if taken:
        listener.note(f"takes over {taken} of {count} embedded images of an interrupted run")


def name_of(embedders: Sequence[Embedder], what: Iterable[str]) -> str:
    """Return a hash of all weights of ``embedders`` and of ``what`` is embedded, in order."""
    digest = hashlib.sha256()
    for embedder in embedders:
        for name, array in embedder_state(embedder).items():
            digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    for text in what:
        digest.update(f"{text}\n".encode())
    return digest.hexdigest()


def extract_in_chunks(
    embedders: Sequence[Embedder],
    pixels: PixelRows,
    compute: Compute,
    listener: ProgressListener,
    shards: Shards | None,
) -> list[Extracted]:
    """Return what :func:`extract_each` does, to the same bits, kept and taken over chunk by chunk.

    ``shards`` are those of one run over the same ``pixels``.
    """
    if shards is None:
        return extract_each(embedders, pixels, compute, listener)

    def embed(start: int, stop: int) -> Arrays:
        found = extract_each(embedders, pixels[start:stop], compute, listener)
        return {
            f"{member}.{kind}": array
            for member, one in enumerate(found)
            for kind, array in one._asdict().items()
        }

    def take_over(kept: Arrays, start: int, stop: int) -> Arrays:
        listener.advance(stop - start)
        return kept

    results, reached = [room_for(embedder, len(pixels)) for embedder in embedders], 0
    name = name_of(embedders, ("the new images", str(len(pixels))))
    for chunk in in_chunks(len(pixels), name, embed, take_over, shards, listener):
        rows = slice(reached, reached + len(chunk["0.features"]))
        for member, result in enumerate(results):
            result.features[rows] = chunk[f"{member}.features"]
            result.outputs[rows] = chunk[f"{member}.outputs"]
        reached = rows.stop
    return results
