"""Whether features in half precision retrieve as well as in full: measured on queries of the new task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.embedding.embedder import Embedder
from continual_dml.embedding.extract import extract_each, side_by_side
from continual_dml.embedding.precision import Compute
from continual_dml.metrics.recall import score_queries
from continual_dml.pixels import SelectedRows
from continual_dml.ports import ProgressListener
from continual_dml.workflows.evaluate import Labelled

MOST_CHECKED = 500
"""In single precision an image takes about twice as long: a bounded part of any task."""
ALLOWED_LOSS = 0.001
FEWEST_LOST = 3
"""Queries lost beyond those won: one or two are decided by the last bits of a tie."""


@dataclass(frozen=True, slots=True, eq=False)
class InFull:
    """Some of a task's queries in single precision: their ``rows`` (n,) and stored ``features`` (n, F)."""

    rows: NDArray[np.int64]
    features: NDArray[np.float32]


def seen_in_full(
    embedders: Sequence[Embedder],
    pixels: SelectedRows,
    order: NDArray[np.int64],
    compute: Compute,
    listener: ProgressListener,
) -> InFull | None:
    """Embed the first queries of ``order`` in single precision; None where all are anyway.

    Args:
        embedders: the live networks.
        pixels: of the task's queries.
        order: their rows (Q,); at most :data:`MOST_CHECKED` are looked at.
        compute: how queries and gallery are embedded.
        listener: told one unit per image.
    """
    if not compute.bf16:
        return None
    rows = order[:MOST_CHECKED]
    listener.start("checking half precision", len(rows))
    whole = replace(compute, bf16=False)
    chosen = SelectedRows(pixels.pixels, pixels.rows[rows])
    found = extract_each(embedders, chosen, whole, listener)
    return InFull(rows, side_by_side(found))


def precision_document(half: Labelled, full: NDArray[np.float32], gallery: Labelled) -> dict[str, Any]:
    """Compare what the same queries find among the same items by both precisions, as plain values.

    ``note`` says what to do where half precision costs more than a tenth of a point of Recall@1 and more
    queries than a tie or two would; None where it does not.

    Args:
        half: the queries in half precision.
        full: their vectors (n, D) in single precision.
        gallery: that is searched, embedded in half precision.
    """
    by_half, by_full = _right(half.vectors, half, gallery), _right(full, half, gallery)
    lost, won = int((by_full & ~by_half).sum()), int((by_half & ~by_full).sum())
    cosines = np.einsum("nd,nd->n", half.vectors, full)
    checked = len(by_half)
    costs = lost - won >= FEWEST_LOST and lost - won > ALLOWED_LOSS * checked
    return {
        "computed": "bf16",
        "checked": checked,
        "recall_at_1": float(by_half.mean()) if checked else None,
        "recall_at_1_fp32": float(by_full.mean()) if checked else None,
        "lost": lost,
        "won": won,
        "mean_cosine": float(cosines.mean()) if len(cosines) else None,
        "least_cosine": float(cosines.min()) if len(cosines) else None,
        "note": _note(lost, won, checked) if costs else None,
    }


def _right(vectors: NDArray[np.float32], queries: Labelled, gallery: Labelled) -> NDArray[np.bool_]:
    """Return which queries, of those that have something to find, have their category first."""
    if not len(vectors) or not len(gallery.vectors):
        return np.empty(0, dtype=np.bool_)
    found = score_queries(vectors, queries.categories, gallery.vectors, gallery.categories, (1,))
    return found.recall[1]


def _note(lost: int, won: int, checked: int) -> str:
    return (
        f"half precision (bf16) costs Recall@1 here: of {checked} queries it loses {lost} that single "
        f"precision finds, and finds {won} that it loses; learn with --precision fp32 from now on, and set "
        "training.precision to fp32 in cdml.toml for searches"
    )
