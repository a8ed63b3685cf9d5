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
    "end_to_end",
    "decode_large",
    "decode_small",
    "forward_mobilenet_v2_bf16",
    "index_query",
    "warm_query",
    "metrics_10k",
    "refresh_million",
)


def summary(rows: Sequence[Row], results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a line for each of those rows that are measured, against the fastest of its peers."""
    named = {row.name: row for row in rows}
    return "\n".join([*_HEAD, *(_line(named[name], results[name]) for name in SHOWN if name in results)])


def _line(row: Row, result: Mapping[str, Any]) -> str:
    ratios = {
        verdict.target.against: verdict.found
        for verdict in verdicts(row, result)
        if verdict.target.against and (verdict.target.figure, verdict.target.of) == ("seconds", OURS)
    }
    seconds = {arm: median_of(result["figures"], arm, "seconds") for arm in (OURS, *ratios)}
    peer = min(ratios, key=seconds.__getitem__)
    ours, theirs = (figure_text(row, "seconds", seconds[arm]) for arm in (OURS, peer))
    return f"| {row.title} | {ours} | {theirs} | {peer} | {ratios[peer]} |"
