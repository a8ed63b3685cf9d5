"""What a report shows beside its matrices: categories, confusions, single queries and a map, as plain data.

All of it comes from what was measured anyway: no vector is compared once more, and no image is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.metrics.confusions import (
    Confusion,
    confusions,
    found_categories,
    sampled_queries,
    spread_rows,
    worst_queries,
)
from continual_dml.metrics.principal_plane import principal_plane
from continual_dml.metrics.recall import ClosestItems
from continual_dml.workflows.evaluate import Labelled

SCHEMA_VERSION = 1
MOST_SAMPLED, MOST_WORST, MOST_CONFUSED, MOST_MAPPED = 16, 10, 12, 2000
EXAMPLES = 2
"""So many queries show what is taken for what."""


def report_details(
    generation: int, queries: Labelled, hashes: Sequence[str], closest: ClosestItems, gallery: Labelled
) -> dict[str, Any]:
    """Return the details of a report.

    Args:
        generation: that is measured.
        queries: all that were asked, with ids.
        hashes: of the content of each.
        closest: what each is nearest to in ``gallery``.
        gallery: merged, with ids.
    """
    told = _Told(queries, closest, gallery)
    asked, answered, margins = told.asked, told.answered, told.margins
    sample = sampled_queries(queries.tasks[told.rows], [hashes[row] for row in told.rows], MOST_SAMPLED)
    worst = worst_queries(asked != answered, margins, MOST_WORST)
    return {
        "schema_version": SCHEMA_VERSION,
        "generation": generation,
        "categories": [
            {"category": one.category, "queries": one.queries, "found": one.found}
            for one in found_categories(asked, answered)
        ],
        "confusions": [
            told.confusion(one) for one in confusions(asked, answered, margins, MOST_CONFUSED, EXAMPLES)
        ],
        "samples": [told.query(row) for row in sample],
        "worst": [{**told.query(row), "margin": _rounded(margins[row])} for row in worst],
        "map": _map_of(gallery),
    }


class _Told:
    """The queries that have something to find, one row each, and how they are told.

    ``rows`` (n,): of all queries; ``asked``, ``answered`` (n,): their categories and those of their nearest
    items; ``margins`` (n,): by how much that is nearer than the nearest item of the own category.
    """

    def __init__(self, queries: Labelled, closest: ClosestItems, gallery: Labelled) -> None:
        self.rows: NDArray[np.int64] = np.flatnonzero(closest.rows[:, 0] >= 0)
        self.asked = queries.categories[self.rows]
        self.answered = gallery.categories[closest.rows[self.rows, 0]]
        self.margins = closest.similarities[self.rows, 0] - closest.own[self.rows]
        self._queries, self._closest, self._gallery = queries, closest, gallery

    def query(self, row: int) -> dict[str, Any]:
        """Return a query with its nearest items."""
        place, gallery = int(self.rows[row]), self._gallery
        near = [int(one) for one in self._closest.rows[place] if one >= 0]
        return {
            "item": int(self._queries.ids[place]),
            "category": int(self._queries.categories[place]),
            "task": int(self._queries.tasks[place]),
            "neighbours": [
                {
                    "item": int(gallery.ids[one]),
                    "category": int(gallery.categories[one]),
                    "similarity": _rounded(similarity),
                }
                for one, similarity in zip(near, self._closest.similarities[place], strict=False)
            ],
        }

    def confusion(self, one: Confusion) -> dict[str, Any]:
        """Return two categories that are confused, with examples."""
        shown = [self.query(row) for row in one.examples]
        return {
            "asked": one.asked,
            "answered": one.answered,
            "queries": one.queries,
            "examples": [
                {
                    "query": query["item"],
                    "nearest": query["neighbours"][0]["item"],
                    "similarity": query["neighbours"][0]["similarity"],
                }
                for query in shown
            ],
        }


def _map_of(gallery: Labelled) -> dict[str, Any]:
    rows = spread_rows(gallery.tasks, MOST_MAPPED)
    found = principal_plane(gallery.vectors[rows])
    x, y = found.places.T.round(4).tolist()
    return {
        "explained_variance": found.explained.round(4).tolist(),
        "items": gallery.ids[rows].tolist(),
        "tasks": gallery.tasks[rows].tolist(),
        "categories": gallery.categories[rows].tolist(),
        "x": x,
        "y": y,
    }


def _rounded(value: float | np.floating) -> float:
    return round(float(value), 4)
