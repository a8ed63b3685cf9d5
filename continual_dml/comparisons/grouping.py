"""Readings grouped by method, head and gallery, and what a group says over its seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from continual_dml.comparisons.readings import Matrix, Reading, known_values
from continual_dml.comparisons.rows import MethodRow, place
from continual_dml.comparisons.spread import (
    Interval,
    Spread,
    gap_closed,
    paired_interval,
    positive_gaps,
    spread,
)

FROZEN, JOINT = ("frozen",), ("joint", "joint-training")
"""Methods that mark the two ends of the gap."""
COMPARED = ("recall_at_1", "map_at_r", "forgetting", "within_forgetting", "unseen_recall_at_1")
"""Measures whose difference to the baseline is taken seed by seed."""


class Groups:
    """Readings grouped by label, head and gallery; within a group one per seed."""

    def __init__(self, found: Sequence[Reading]) -> None:
        self.by_key: dict[tuple[str, str, str], list[Reading]] = {}
        for reading in found:
            self.by_key.setdefault((reading.label, reading.head, reading.gallery), []).append(reading)
        self._frozen = self._end(found, FROZEN)
        self._joint = self._end(found, JOINT)

    def row(self, key: tuple[str, str, str], reference: Sequence[Reading]) -> MethodRow:
        """Return the row of one group."""
        group = self.by_key[key]
        first, names = group[0], dict.fromkeys(name for reading in group for name in reading.measures)
        whole = self.by_key.get((first.label, first.head, "reembedded"), [])
        return MethodRow(
            label=first.label,
            method=first.method,
            replays=first.replays,
            head=first.head,
            gallery=first.gallery,
            seeds=tuple(sorted(reading.seed for reading in group)),
            measures={name: spread(list(by_seed(group, name).values())) for name in names},
            difference={name: _paired(group, reference, name) for name in COMPARED},
            gap_closed=gap_closed(by_seed(group, "recall_at_1"), self._frozen, self._joint),
            to_reembedded=_paired(group, whole, "recall_at_1") if first.gallery != "reembedded" else None,
            matrix=mean_matrix([reading.matrix for reading in group if reading.matrix]),
            over_tasks=_over_tasks(group),
        )

    def headline(self, label: str | None) -> list[Reading]:
        """Return the readings of a label that stand for it, nothing for no label."""
        keys = [key for key in self.by_key if key[0] == label]
        return self.by_key[min(keys, key=lambda key: place(key[1], key[2]))] if keys else []

    def notes(self) -> list[str]:
        """Tell why no gap is given although both its ends were run."""
        if not self._frozen.keys() & self._joint.keys() or positive_gaps(self._frozen, self._joint):
            return []
        return ["Joint training is not above the frozen network on every seed: there is no gap to close."]

    def _end(self, found: Sequence[Reading], methods: Sequence[str]) -> dict[int, float]:
        label = label_of(found, methods)
        return by_seed(self.by_key.get((label or "", "statistics", "reembedded"), []), "recall_at_1")


def mean_matrix(matrices: Sequence[Matrix]) -> Matrix:
    """Return the entry-wise means over what was measured.

    >>> mean_matrix([((0.5,), (0.25, 1.0)), ((None,), (0.75, None))])
    ((0.5,), (0.5, 1.0))
    """
    return tuple(
        tuple(_mean(entries) for entries in zip(*rows, strict=True)) for rows in zip(*matrices, strict=True)
    )


def by_seed(group: Iterable[Reading], measure: str) -> dict[int, float]:
    """Return a measure by seed, where it was taken."""
    values = {reading.seed: reading.measures.get(measure) for reading in group}
    return {seed: value for seed, value in values.items() if value is not None}


def _paired(group: Sequence[Reading], reference: Sequence[Reading], measure: str) -> Interval | None:
    """Return the difference on common seeds; a group does not differ from itself, so there is none then."""
    if group is reference:
        return None
    here, there = by_seed(group, measure), by_seed(reference, measure)
    return paired_interval([value - there[seed] for seed, value in here.items() if seed in there])


def _over_tasks(group: Sequence[Reading]) -> tuple[Spread | None, ...]:
    stages = zip(
        *[[_mean(row) for row in reading.matrix] for reading in group if reading.matrix], strict=True
    )
    return tuple(spread(known_values(stage)) for stage in stages)


def label_of(found: Iterable[Reading], methods: Sequence[str]) -> str | None:
    """Return the label of a method: its own name where a run is labelled so, else its first label."""
    labels = {reading.label: reading.method for reading in found}
    named = [label for label in labels if label in methods]
    return next(iter(named + [label for label, method in labels.items() if method in methods]), None)


def _mean(values: Iterable[float | None]) -> float | None:
    found = spread(known_values(values))
    return None if found is None else found.mean
