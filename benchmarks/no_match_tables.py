"""The tables of ``benchmarks.no_match``."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

NAIVE, SIMULATED, FULL, TWICE = "naive", "simulated", "calibrated", "twice the target"
_RULES = {
    FULL: "as it is",
    TWICE: "the same, twice the target",
    SIMULATED: "without what earlier generations saw",
    NAIVE: "plain quantile of plain cosines",
}


def rendered(result: Mapping[str, Any]) -> str:
    """Return the tables of one run."""
    streams: Mapping[str, Sequence[Mapping[str, Any]]] = result["streams"]
    versions = ", ".join(f"{name} {value}" for name, value in result["environment"].items())
    lines = [
        f"Target: {100 * result['target']:g} %. Means over stages, then over seeds (least to most of the "
        f"seeds). Machine and versions: {versions}.", "",
        "| stream, old items | seeds x stages | false accepts, % | worst stage | true accepts, % | "
        "accepted and right, % | right, % | AUROC |", "|---|---:|---:|---:|---:|---:|---:|---:|",
        *(_row(key, runs) for key, runs in streams.items()), "",
        f"| false, true accepts, % | {' | '.join(_RULES.values())} |", f"|---|{'---:|' * len(_RULES)}",
        *(f"| {key} | {' | '.join(_pair(runs, one) for one in _RULES)} |" for key, runs in streams.items()),
        "", *_reliability(result["reliability"]),
    ]  # fmt: skip
    return "\n".join(lines)


def _row(key: str, runs: Sequence[Mapping[str, Any]]) -> str:
    def spread(name: str, scale: float = 100, digits: int = 1) -> str:
        values = [scale * run["rules"][FULL][name] for run in runs]
        ends = f"{min(values):.{digits}f} to {max(values):.{digits}f}"
        return f"{statistics.fmean(values):.{digits}f} ({ends})"

    counted, stages = sum(run["with_threshold"] for run in runs), runs[0]["stages"]
    counts = f"{len(runs)} x {stages}"
    if counted < len(runs) * stages:
        counts += f" ({counted} with a threshold)"
    worst = f"{100 * max(run['worst_stage'] for run in runs):.1f}"
    figures = ["true_accepts", "accepted_right", "right"]
    cells = [key, counts, spread("false_accepts"), worst, *map(spread, figures), spread("auroc", 1, 3)]
    return f"| {' | '.join(cells)} |"


def _pair(runs: Sequence[Mapping[str, Any]], rule: str) -> str:
    found = [run["rules"][rule] for run in runs]
    names = ("false_accepts", "true_accepts")
    return ", ".join(f"{100 * statistics.fmean(one[name] for one in found):.1f}" for name in names)


def _reliability(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    bins = next(iter(found.values()))["bins"]
    names = [f"{one['from']:g} to {one['to']:g}" for one in bins]
    lines = [
        f"| share right (answers) by confidence | {' | '.join(names)} | error |",
        f"|---|{'---:|' * len(names)}---:|",
    ]
    for key, figures in found.items():
        cells = [
            f"{one['right']:.3f} ({one['answers']:,})" if one["answers"] else "-" for one in figures["bins"]
        ]
        lines.append(f"| {key} | {' | '.join(cells)} | {figures['error']:.3f} |")
    return lines
