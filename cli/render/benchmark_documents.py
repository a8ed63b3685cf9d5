"""What a benchmark says, as a JSON document. Its keys are a promise: add, never rename."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from continual_dml.comparisons.definitions import COMPARISON_DEFINITIONS

if TYPE_CHECKING:
    from continual_dml.comparisons.rows import Comparison

SCHEMA_VERSION = 1


def comparison_document(comparison: Comparison, stream: Mapping[str, Any]) -> dict[str, Any]:
    """Return the comparison of all runs on a stream; ``rank`` counts from 1 in the order of the tables."""
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "benchmark-summary",
        "stream": dict(stream),
        "baseline": comparison.baseline,
        "recall_at": list(comparison.ks),
        "rows": [{"rank": rank, **asdict(row)} for rank, row in enumerate(comparison.rows, 1)],
        "notes": list(comparison.notes),
        "definitions": dict(COMPARISON_DEFINITIONS),
    }
