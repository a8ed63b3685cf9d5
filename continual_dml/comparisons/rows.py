"""What a comparison holds: a row per method, head and gallery, and their order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from continual_dml.comparisons.readings import Matrix
from continual_dml.comparisons.spread import Interval, Spread

_PREFERRED = (("statistics", "reembedded"), ("trained", "reembedded"), ("statistics", "projected"))


@dataclass(frozen=True, slots=True)
class MethodRow:
    """What one method reaches with one head and one kind of gallery.

    ``difference`` is to the baseline, by measure; ``to_reembedded`` of a projected gallery is its Recall@1
    less that of the re-embedded one; ``matrix`` holds the means over seeds of Recall@1 in the merged gallery,
    ``over_tasks`` its row averages.
    """

    label: str
    method: str
    replays: bool
    head: str
    gallery: str
    seeds: tuple[int, ...]
    measures: Mapping[str, Spread | None]
    difference: Mapping[str, Interval | None]
    gap_closed: Spread | None
    to_reembedded: Interval | None
    matrix: Matrix
    over_tasks: tuple[Spread | None, ...]

    def mean(self, measure: str) -> float | None:
        """Return the mean over seeds, None where the measure is not known."""
        found = self.measures.get(measure)
        return None if found is None else found.mean


@dataclass(frozen=True, slots=True)
class Comparison:
    """All rows: methods that replay nothing first, best Recall@1 first, then the references that replay.

    ``baseline`` is the label that differences are taken to, or None; ``categories`` counts those learned;
    ``ks`` are the K of Recall@K; ``deep_k`` is 8, or the largest K measured where there is no 8.
    """

    baseline: str | None
    categories: int
    ks: tuple[int, ...]
    deep_k: int
    rows: tuple[MethodRow, ...]
    notes: tuple[str, ...]

    def headlines(self) -> list[MethodRow]:
        """Return one row per method: the statistics head over a re-embedded gallery where there is one."""
        best: dict[str, MethodRow] = {}
        for row in self.rows:
            if row.label not in best or place(row.head, row.gallery) < place(
                best[row.label].head, best[row.label].gallery
            ):
                best[row.label] = row
        return sorted(best.values(), key=order)


def place(head: str, gallery: str) -> int:
    """Return how well a readout stands for its method, 0 best."""
    return _PREFERRED.index((head, gallery)) if (head, gallery) in _PREFERRED else len(_PREFERRED)


def order(row: MethodRow) -> tuple[bool, float, float]:
    """Return the key that rows are sorted by: no replay first, then by Recall@1, merged before unseen."""
    unknown = float("-inf")
    merged, unseen = row.mean("recall_at_1"), row.mean("unseen_recall_at_1")
    return row.replays, -(unknown if merged is None else merged), -(unknown if unseen is None else unseen)
