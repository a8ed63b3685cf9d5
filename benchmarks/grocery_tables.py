"""Markdown tables of what benchmarks/grocery_stream.py measured."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

Result = dict[str, Any]


def render(results: Sequence[Result]) -> str:
    """Return the tables: one line per arm over all its seeds, then every recall matrix of the first seed."""
    arms = list(dict.fromkeys(str(result["arm"]) for result in results))
    by_arm = {arm: [r for r in results if r["arm"] == arm] for arm in arms}
    parts = [_conditions(results[0]), _summary(by_arm)]
    parts += [_matrix(by_arm[arm][0]) for arm in arms]
    return "\n\n".join(parts) + "\n"


def _conditions(result: Result) -> str:
    environment = ", ".join(f"{name} {value}" for name, value in result["environment"].items())
    first, later = result["steps"]
    return (
        f"Images {result['image_side']} px; {first} steps in the first task, {later} in each later one. "
        f"Machine and versions: {environment}."
    )


def _summary(by_arm: dict[str, list[Result]]) -> str:
    lines = [
        "| arm | seeds | Recall@1 merged | forgetting merged | Recall@1 within task | forgetting within | "
        "mAP@R merged | gallery fresh / projected | minutes |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for arm, results in by_arm.items():
        reports = [result["report"] for result in results]
        status = results[0]["status"]["gallery"]
        lines.append(
            f"| {arm} | {', '.join(str(r['seed']) for r in results)} "
            f"| {_spread([r['summary']['1']['average'] for r in reports])} "
            f"| {_spread([r['summary']['1']['forgetting'] for r in reports])} "
            f"| {_spread([r['within_task']['summary']['1']['average'] for r in reports])} "
            f"| {_spread([r['within_task']['summary']['1']['forgetting'] for r in reports])} "
            f"| {_spread([statistics.mean(r['map_at_r'][-1]) for r in reports])} "
            f"| {status['fresh']} / {status['projected']} "
            f"| {_spread([result['seconds'] / 60 for result in results], digits=1)} |"
        )
    return "\n".join(lines)


def _matrix(result: Result) -> str:
    rows = result["report"]["recall_at_k"]["1"]
    names = [task["name"] for task in result["report"]["tasks"]]
    lines = [
        f"**{result['arm']}**, seed {result['seed']}: Recall@1 in the merged gallery, "
        "rows after learning, columns asked with the queries of",
        "",
        "| after | " + " | ".join(names) + " |",
        "|---" * (len(names) + 1) + "|",
    ]
    for name, row in zip(names, rows, strict=True):
        cells = [f"{value:.3f}" for value in row] + [""] * (len(names) - len(row))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _spread(values: Sequence[float], digits: int = 3) -> str:
    """Return the mean, with the sample standard deviation where there is more than one value."""
    mean = f"{statistics.mean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean
