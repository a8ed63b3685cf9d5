"""The same learned stream, read out through either head and with old items treated in several ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.metrics.recall import RetrievalMetrics, retrieval_metrics

MERGED, WITHIN, GROUP = "merged", "within", "group"
SCOPES = (MERGED, WITHIN, GROUP)


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """Unit vectors (N, D) with their category ids (N,)."""

    vectors: NDArray[np.float32]
    labels: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Unseen:
    """What a head makes of categories that were not trained on; None for what was not measured.

    ``found``: retrieval among them; ``nmi``: normalised mutual information of their clusters and categories.
    """

    found: RetrievalMetrics | None = None
    nmi: float | None = None


NOTHING = Unseen()


@dataclass(slots=True, eq=False)
class Readout:
    """The retrieval metrics of one head and one kind of gallery, stage by stage.

    ``head``: ``statistics`` or ``trained``; ``gallery``: how items of earlier tasks got into the live space:
    ``reembedded`` from their images, ``projected`` by the drift maps, or ``sdc`` by semantic drift
    compensation.
    """

    head: str
    gallery: str
    recall_at: Sequence[int]
    recall: dict[str, dict[str, list[list[float | None]]]] = field(init=False)
    map_at_r: dict[str, list[list[float | None]]] = field(init=False)
    unseen: list[Unseen] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.recall = {scope: {str(k): [] for k in self.recall_at} for scope in SCOPES}
        self.map_at_r = {scope: [] for scope in SCOPES}

    def measure(
        self, queries: Sequence[Vectors], gallery: Sequence[Vectors], unseen: Unseen = NOTHING
    ) -> None:
        """Add the stage after which the tasks of ``queries`` and ``gallery`` (one entry each) are learned."""
        everything = merged(gallery)
        for scope in SCOPES:
            results = [
                _search(asked, everything if scope == MERGED else own, self.recall_at, scope)
                for asked, own in zip(queries, gallery, strict=True)
            ]
            for k in self.recall_at:
                row = [None if result is None else result.recall[k] for result in results]
                self.recall[scope][str(k)].append(row)
            self.map_at_r[scope].append([None if r is None else r.map_at_r for r in results])
        self.unseen.append(unseen)

    def skip(self, tasks: int) -> None:
        """Add a stage of ``tasks`` tasks that was not measured."""
        for scope in SCOPES:
            for k in self.recall_at:
                self.recall[scope][str(k)].append([None] * tasks)
            self.map_at_r[scope].append([None] * tasks)
        self.unseen.append(NOTHING)

    def document(self) -> dict[str, Any]:
        """Return everything as plain values."""
        unseen = {
            str(k): [None if stage.found is None else stage.found.recall[k] for stage in self.unseen]
            for k in self.recall_at
        }
        return {
            "head": self.head,
            "gallery": self.gallery,
            "recall": self.recall,
            "map_at_r": self.map_at_r,
            "unseen_recall": unseen,
            "nmi": [stage.nmi for stage in self.unseen],
        }


def search_among_themselves(items: Vectors, recall_at: Sequence[int]) -> RetrievalMetrics | None:
    """Return the metrics of each item searched among all the others, or None where none has a match."""
    if not len(items.labels):
        return None
    result = retrieval_metrics(
        items.vectors, items.labels, items.vectors, items.labels, ks=tuple(recall_at), exclude_self=True
    )
    return result if result.queries else None


def search_unseen(
    items: Vectors, asks: NDArray[np.bool_] | None, recall_at: Sequence[int]
) -> RetrievalMetrics | None:
    """Return the metrics of the items that ask, among those that do not; None asks each among the others."""
    if asks is None:
        return search_among_themselves(items, recall_at)
    queries, gallery = (Vectors(items.vectors[rows], items.labels[rows]) for rows in (asks, ~asks))
    return search_gallery(queries, gallery, recall_at)


def search_gallery(queries: Vectors, gallery: Vectors, recall_at: Sequence[int]) -> RetrievalMetrics | None:
    """Return the metrics of queries among a gallery, or None where no query has a match."""
    if not len(queries.labels) or not len(gallery.labels):
        return None
    result = retrieval_metrics(
        queries.vectors, queries.labels, gallery.vectors, gallery.labels, ks=tuple(recall_at)
    )
    return result if result.queries else None


def _search(
    queries: Vectors, gallery: Vectors, recall_at: Sequence[int], scope: str
) -> RetrievalMetrics | None:
    if scope == GROUP:
        return search_among_themselves(queries, recall_at)
    return search_gallery(queries, gallery, recall_at)


def merged(parts: Sequence[Vectors]) -> Vectors:
    """Return all parts as one."""
    return Vectors(
        np.concatenate([part.vectors for part in parts]), np.concatenate([part.labels for part in parts])
    )
