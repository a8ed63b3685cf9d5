"""The table of benchmarks/step_cost.py: ratios of times, with intervals, against what was aimed at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.side_by_side.intervals import median_with_interval

FEWEST_ROUNDS = 15


def ratios(rounds: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Return of each round A B B A the time of both B over that of both A.

    >>> ratios([[1.0, 2.0, 4.0, 3.0]])  # 6 over 4
    array([1.5])
    """
    seconds = np.asarray(rounds, dtype=np.float64)
    return (seconds[:, 1] + seconds[:, 2]) / (seconds[:, 0] + seconds[:, 3])


def verdict(aim: float | None, low: float, high: float, rounds: int) -> str:
    """Say whether the whole interval keeps to the aim; nothing is said of a few rounds.

    >>> verdict(2.2, 2.0, 2.1, 15), verdict(2.2, 2.1, 2.3, 15), verdict(2.2, 2.3, 2.4, 15)
    ('met', 'open', 'missed')
    >>> verdict(2.2, 2.0, 2.1, 14), verdict(None, 1.0, 1.0, 15)
    ('too few rounds', '')
    """
    if aim is None:
        return ""
    if rounds < FEWEST_ROUNDS:
        return "too few rounds"
    return "met" if high <= aim else "missed" if low > aim else "open"


def render(results: Sequence[dict[str, Any]]) -> str:
    """Return a table of the last result of each comparison, under the conditions of each network."""
    latest = {(result["backbone"], result["comparison"]): result for result in results}
    parts = []
    for backbone in dict.fromkeys(name for name, _ in latest):
        rows = [result for (name, _), result in latest.items() if name == backbone]
        parts.append("\n\n".join(dict.fromkeys(_conditions(result) for result in rows)))
        header = "| compared | rounds | time, median (95 % interval) | processor time | aim | |"
        parts.append("\n".join([header, "|---|---|---|---|---|---|", *map(row, rows)]))
    return "\n\n".join(parts) + "\n"


def row(result: dict[str, Any]) -> str:
    """Return one line of the table."""
    wall, low, high = median_with_interval(ratios(result["wall"]))
    cpu, cpu_low, cpu_high = median_with_interval(ratios(result["cpu"]))
    aim = "" if result["aim"] is None else f"<= {result['aim']:g}"
    judged = verdict(result["aim"], low, high, len(result["wall"]))
    return (
        f"| {result['comparison']} | {len(result['wall'])} | {wall:.3f} ({low:.3f} to {high:.3f}) "
        f"| {cpu:.3f} ({cpu_low:.3f} to {cpu_high:.3f}) | {aim} | {judged} |"
    )


def _conditions(result: dict[str, Any]) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in result["environment"].items())
    return (
        f"**{result['backbone']}**, {result['side']} px, {result['weights']} weights, batches of 60, "
        f"{result['steps']} steps a run, {result['threads']} thread(s), "
        f"{'bf16' if result['bf16'] else 'fp32'}. {machine}."
    )
