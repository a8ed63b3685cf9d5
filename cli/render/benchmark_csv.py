"""Every run and readout of a benchmark as one flat line of a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from continual_dml.comparisons.readings import readings

_FIRST = ("stream", "label", "method", "replays", "seed", "head", "gallery")


def runs_csv(runs: Sequence[Mapping[str, Any]]) -> str:
    """Return a header and a line per run and readout; what was not measured is an empty cell.

    Shares lie between 0 and 1, times are in seconds, sizes in bytes; a measure without a prefix is of the
    merged gallery.
    """
    found = readings(runs)
    measures = list(dict.fromkeys(name for reading in found for name in reading.measures))
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow([*_FIRST, *measures])
    for reading in found:
        values = [reading.measures.get(name) for name in measures]
        lines.writerow([
            runs[0]["stream"]["name"],
            reading.label,
            reading.method,
            str(reading.replays).lower(),
            reading.seed,
            reading.head,
            reading.gallery,
            *["" if value is None else value for value in values],
        ])  # fmt: skip
    return text.getvalue()
