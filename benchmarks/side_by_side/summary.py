"""A few of the rows, for whoever reads no further than the README."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.side_by_side.rounds import median_of
from benchmarks.side_by_side.rows import OURS, Row
from benchmarks.side_by_side.tables import figure_text
from benchmarks.side_by_side.verdicts import verdicts

_HEAD = ("| what | cdml | otherwise | | times as fast |", "|---|---:|---:|---|---:|")
SHOWN = (
    ("end_to_end", "script"),
    ("end_to_end", "script, channels last and bf16"),
    ("decode_large", "DataLoader, best settings"),
    ("decode_small", "DataLoader, best settings"),
    ("forward_mobilenet_v2_bf16", "eager loop, best settings"),
    ("index_query", "faiss IndexFlatIP"),
    ("warm_query", "a script that loads model and index"),
    ("metrics_10k", 'pytorch-metric-learning, k="max_bin_count"'),
    ("refresh_million", "DataLoader, resnet18"),
)
"""Rows and which of their peers they are compared with: where there are two, the faster one."""


def summary(rows: Sequence[Row], results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the lines of those rows that are measured."""
    named = {row.name: row for row in rows}
    return "\n".join(
        [*_HEAD, *(_line(named[name], results[name], peer) for name, peer in SHOWN if name in results)]
    )


def _line(row: Row, result: Mapping[str, Any], peer: str) -> str:
    ratio = next(
        verdict.found
        for verdict in verdicts(row, result)
        if (verdict.target.figure, verdict.target.of, verdict.target.against) == ("seconds", OURS, peer)
    )
    ours, theirs = (
        figure_text(row, "seconds", median_of(result["figures"], arm, "seconds")) for arm in (OURS, peer)
    )
    return f"| {row.title} | {ours} | {theirs} | {peer} | {ratio} |"
