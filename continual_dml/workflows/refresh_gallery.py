"""Bring the vectors of earlier tasks' items into the live model's space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from continual_dml.embedding.embedder import Embedder
from continual_dml.embedding.precision import Compute
from continual_dml.errors import GalleryError
from continual_dml.ports import ImageReader, ProgressListener, Shards, Store
from continual_dml.records import GalleryPart, VectorState
from continual_dml.strategies.heads import Head
from continual_dml.strategies.state import LearnerState
from continual_dml.workflows.embed_files import embed_files


@dataclass(frozen=True, slots=True, eq=False)
class LiveModel:
    """What it takes to embed images now, and to carry stored features forward to now.

    ``moved`` is False when the task left the weights as they were: stored features are then still exact.
    ``shards`` keep what it has embedded already.
    """

    generation: int
    embedders: Sequence[Embedder]
    head: Head
    state: LearnerState
    compute: Compute
    moved: bool = True
    shards: Shards | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Reembedded:
    """Items embedded anew: ``ids`` (n,) and their stored features (n, F)."""

    ids: NDArray[np.int64]
    features: NDArray[np.float32]


def refresh_part(
    part: GalleryPart,
    mode: str,
    model: LiveModel,
    store: Store,
    reader: ImageReader,
    listener: ProgressListener,
) -> tuple[GalleryPart | None, Reembedded | None]:
    """Refresh one part; return what stays in it (None when nothing does) and what was embedded anew.

    Args:
        part: items born in one earlier generation.
        mode: ``project`` carries features forward through the drift map and the live head, ``reembed`` opens
            every image, ``auto`` opens those still there and projects the rest, ``keep`` does
            nothing where the weights moved.
        model: the live model.
        store: knows where the images are.
        reader: decodes them, and leaves out what is missing or has changed.
        listener: told of the progress.

    Raises:
        GalleryError: ``reembed`` and an image is missing or has changed.
    """
    if mode == "keep" and model.moved:
        return replace(part, state=VectorState.STALE), None
    if mode == "project" or not model.moved:  # features are exact where nothing moved; the head is always new
        return _projected(part, np.arange(len(part.ids)), model), None
    renewed, missing = _reembed(part, model, store, reader, listener)
    if mode == "reembed" and len(missing):
        first = store.items([int(part.ids[missing[0]])])[int(part.ids[missing[0]])].path
        raise GalleryError(
            f"--refresh reembed: {len(missing)} images of earlier tasks are missing or have changed, "
            f"first {first}; use --refresh auto to carry those forward by the drift map"
        )
    return (_projected(part, missing, model) if len(missing) else None), renewed


def _projected(part: GalleryPart, rows: NDArray[np.int64], model: LiveModel) -> GalleryPart:
    features = part.features[rows]
    carried = model.state.carried(features, part.birth_generation)
    exact = not model.moved and part.state is VectorState.FRESH
    state = VectorState.FRESH if exact else VectorState.PROJECTED
    return GalleryPart(part.birth_generation, state, part.ids[rows], features, model.head(carried))


def _reembed(
    part: GalleryPart, model: LiveModel, store: Store, reader: ImageReader, listener: ProgressListener
) -> tuple[Reembedded | None, NDArray[np.int64]]:
    """Return what could be embedded anew, and the rows (m,) of ``part`` that could not."""
    items = store.items([int(item_id) for item_id in part.ids])
    ordered = [items[int(item_id)] for item_id in part.ids]
    listener.start("embedding earlier tasks' images anew", len(ordered))
    features, rows = embed_files(
        [item.path for item in ordered],
        [item.content_hash for item in ordered],
        model.embedders,
        model.compute,
        reader,
        listener,
        model.shards,
    )
    missing = np.setdiff1d(np.arange(len(part.ids)), rows)
    return (Reembedded(part.ids[rows], features) if len(rows) else None), missing
