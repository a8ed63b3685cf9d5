"""Bring the vectors of earlier tasks' items into the live model's space."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import GalleryError
from continual_dml.ports import ImageReader, ProgressListener, Store
from continual_dml.records import CatalogItem, GalleryPart, VectorState
from continual_dml.report_pages import ReportPainter
from continual_dml.settings import NO_LIMIT, RefreshBudget
from continual_dml.workflows.embed_files import embed_files
from continual_dml.workflows.gallery_files import StoredPart
from continual_dml.workflows.live_model import LiveModel

IMAGES_AT_ONCE = 512
"""Between two looks at the clock, where a budget of time says when to stop."""


@dataclass(frozen=True, slots=True, eq=False)
class Reembedded:
    """Items embedded anew: ``ids`` (n,) and their stored features (n, F)."""

    ids: NDArray[np.int64]
    features: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class RefreshTools:
    """What it takes to open images again: the store knows where they are, the reader decodes them.

    ``painter``: of the page of the report on what comes of it, None for no page.
    """

    store: Store
    reader: ImageReader
    listener: ProgressListener
    painter: ReportPainter | None = None


def refresh_gallery(
    parts: Sequence[StoredPart],
    mode: str,
    budget: RefreshBudget,
    model: LiveModel,
    tools: RefreshTools,
    *,
    exact: bool = True,
) -> tuple[list[GalleryPart], Reembedded]:
    """Refresh all parts; return what stays in them, those that nothing stays in left out, and what is new.

    Args:
        parts: items by the generation that they were born in.
        mode: ``project`` carries features forward through the drift maps and the live head, ``reembed`` opens
            every image, ``auto`` opens images that are still there as far as the budget goes, those that the
            maps know least about first, and projects the rest; ``keep`` does nothing where the weights moved.
        budget: of ``auto``.
        model: the live model.
        tools: to open images with.
        exact: whether vectors will be written, see :meth:`Carrying.vectors`.

    Raises:
        GalleryError: ``reembed`` and an image is missing or has changed.
    """
    if mode == "keep" and model.moved:
        return [part.loaded(VectorState.STALE) for part in parts], nothing_renewed(model)
    # Features that are exact need no image; the head is new in any case.
    doubtful = [part for part in parts if model.state_of(part.state) is not VectorState.FRESH]
    if mode in ("project", "keep") or not doubtful:
        every = [projected(part, np.arange(len(part.ids)), model, exact=exact) for part in parts]
        return every, nothing_renewed(model)
    wanted = _by_doubt(doubtful, model) if budget.is_limited and mode == "auto" else _ids_of(doubtful)
    renewed = _reembed(wanted, budget if mode == "auto" else NO_LIMIT, model, tools)
    if mode == "reembed" and len(renewed.ids) < len(wanted):
        _refuse(wanted, renewed.ids, tools.store)
    left = [(part, np.flatnonzero(~np.isin(part.ids, renewed.ids))) for part in parts]
    return [projected(part, rows, model, exact=exact) for part, rows in left if len(rows)], renewed


def projected(
    part: StoredPart, rows: NDArray[np.int64], model: LiveModel, *, exact: bool = True
) -> GalleryPart:
    """Return the items in ``rows`` (n,) of a part with their features carried forward to now."""
    whole = len(rows) == len(part.ids)  # nothing to pick: no copy of everything
    ids, features = (part.ids, part.features) if whole else (part.ids[rows], part.features[rows])
    birth, state, lengths = part.birth_generation, model.state_of(part.state), None
    if exact:
        vectors = model.carrying.vectors(features, birth)
    else:
        vectors, lengths = model.carrying.with_lengths(features, birth)
    return GalleryPart(birth, state, ids, features, vectors, lengths)


def _ids_of(parts: Sequence[StoredPart]) -> NDArray[np.int64]:
    return np.concatenate([part.ids for part in parts])


def _by_doubt(parts: Sequence[StoredPart], model: LiveModel) -> NDArray[np.int64]:
    """Return the ids of all items, those whose carried vectors are doubted most first."""
    errors = np.concatenate([model.carrying.errors(part.features, part.birth_generation) for part in parts])
    return _ids_of(parts)[np.argsort(-errors, kind="stable")]


def _reembed(
    wanted: NDArray[np.int64], budget: RefreshBudget, model: LiveModel, tools: RefreshTools
) -> Reembedded:
    """Embed what is there of ``wanted`` (n,), in this order, until the budget is used up."""
    begin = time.monotonic()
    wanted = _not_gone(wanted, tools.store)
    most = len(wanted) if budget.items is None else min(budget.items, len(wanted))
    tools.listener.start("embedding earlier tasks' images anew", most)
    at_once = len(wanted) if budget.seconds is None else IMAGES_AT_ONCE
    ids: list[NDArray[np.int64]] = []
    features: list[NDArray[np.float32]] = []
    done = reached = 0
    while done < most and reached < len(wanted):
        if budget.seconds is not None and time.monotonic() - begin >= budget.seconds:
            break
        asked = wanted[reached : reached + min(at_once, most - done)]
        items = tools.store.items(asked.tolist())
        ordered = [items[int(item_id)] for item_id in asked]
        seen, rows = _embed(ordered, model, tools)
        ids.append(asked[rows])
        features.append(seen)
        reached, done = reached + len(asked), done + len(rows)
    return Reembedded(np.concatenate(ids), np.concatenate(features)) if ids else nothing_renewed(model)


def _not_gone(ids: NDArray[np.int64], store: Store) -> NDArray[np.int64]:
    """Return those of ``ids`` (n,) whose task's folder is still there, without a look at each of them."""
    gone = [task.task_id for task in store.tasks() if not Path(task.source).is_dir()]
    labels = store.gallery_labels()
    return ids[~np.isin(labels.tasks[np.searchsorted(labels.ids, ids)], gone)]


def _embed(
    items: Sequence[CatalogItem], model: LiveModel, tools: RefreshTools
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    return embed_files(
        [item.path for item in items],
        [item.content_hash for item in items],
        model.embedders,
        model.compute,
        tools.reader,
        tools.listener,
        model.shards,
    )


def nothing_renewed(model: LiveModel) -> Reembedded:
    """Return no item, with features of the model's width."""
    width = sum(embedder.feature_dim for embedder in model.embedders)
    return Reembedded(np.empty(0, dtype=np.int64), np.empty((0, width), dtype=np.float32))


def _refuse(wanted: NDArray[np.int64], renewed: NDArray[np.int64], store: Store) -> None:
    missing = np.setdiff1d(wanted, renewed)
    first = store.items([int(missing[0])])[int(missing[0])].path
    raise GalleryError(
        f"--refresh reembed: {len(missing)} images of earlier tasks are missing or have changed, "
        f"first {first}; use --refresh auto to carry those forward by the drift map"
    )
