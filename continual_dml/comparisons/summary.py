"""All methods of a benchmark side by side."""

from __future__ import annotations

from collections.abc import Sequence

from continual_dml.comparisons.documents import RunDocument, check_runs, notes_on
from continual_dml.comparisons.grouping import FROZEN, Groups, label_of
from continual_dml.comparisons.readings import Reading, readings
from continual_dml.comparisons.rows import Comparison, order
from continual_dml.errors import UnknownChoice


def compare(runs: Sequence[RunDocument], baseline: str | None = None) -> Comparison:
    """Summarise runs over their seeds.

    Args:
        runs: run documents of one stream, one per method and seed.
        baseline: label to take differences to; by default the frozen network, where it was run.

    Raises:
        CdmlError: runs that cannot be compared.
        UnknownChoice: a baseline without a run.
    """
    check_runs(runs)
    found = readings(runs)
    labels = list(dict.fromkeys(reading.label for reading in found))
    if baseline is not None and baseline not in labels:
        raise UnknownChoice("baseline", baseline, labels)
    reference = baseline or label_of(found, FROZEN)
    groups = Groups(found)
    rows = [groups.row(key, groups.headline(reference)) for key in groups.by_key]
    ks = sorted({int(name.rsplit("_", 1)[1]) for reading in found for name in _recalls(reading)})
    notes = [*notes_on(runs), *groups.notes()]
    return Comparison(
        baseline=reference,
        categories=sum(task["categories"] for task in runs[0]["stream"]["tasks"]),
        ks=tuple(ks),
        deep_k=8 if 8 in ks or not ks else ks[-1],
        rows=tuple(sorted(rows, key=order)),
        notes=tuple(notes),
    )


def _recalls(reading: Reading) -> list[str]:
    return [name for name in reading.measures if "recall_at_" in name]
