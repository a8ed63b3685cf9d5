"""Tables of what benchmarks/refresh_estimators.py measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cli.render.amounts import size
from cli.render.benchmark_cells import spread_cell
from continual_dml.comparisons.spread import spread
from continual_dml.memory.drift_estimators import DEFAULT

STALE, REEMBEDDED, ON_VIEWS = "stale", "reembedded", f"{DEFAULT}, on views"
AIMS = {"grocery": (0.9, 2.0), "glyphs": (0.9, 2.0), "omniglot": (0.85, None)}
"""Least efficiency, and largest gap in points where there is one."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class StreamRuns:
    """Figures of each kind of gallery after each later task, (seeds, later tasks), on the same seeds.

    ``recall``: Recall@1; ``costs``: mean seconds of a fit and mean bytes kept of a task, of kinds that fit.
    """

    stream: str
    seeds: list[int]
    recall: dict[str, Floats]
    costs: dict[str, tuple[float, float]]

    @classmethod
    def of(cls, stream: str, results: Sequence[dict[str, Any]]) -> StreamRuns:
        """Take the last result of each seed; a kind that lacks a seed is left out."""
        last = {one["seed"]: one["kinds"] for one in results if one["stream"] == stream}
        seeds = sorted(last)
        whole = [kind for kind in last[seeds[0]] if all(kind in last[seed] for seed in seeds)]
        recall, costs = {}, {}
        for kind in whole:
            found = [last[seed][kind] for seed in seeds]
            recall[kind] = np.array([one["recall"] for one in found])
            if all(one["fit_seconds"] for one in found):
                seconds, kept = ([one[key] for one in found] for key in ("fit_seconds", "kept_bytes"))
                costs[kind] = float(np.mean(seconds)), float(np.mean(kept))
        return cls(stream, seeds, recall, costs)

    def gap(self, kind: str) -> Floats:
        """Return how many points of Recall@1 a kind lacks to embedding everything anew."""
        return np.asarray(100 * (self.recall[REEMBEDDED] - self.recall[kind]))

    def efficiency(self, kind: str) -> Floats:
        """Return the share of the way from stale vectors to newly embedded ones that a kind goes."""
        stale, anew = self.recall[STALE], self.recall[REEMBEDDED]
        possible = np.where(anew > stale, anew - stale, np.nan)
        return np.asarray((self.recall[kind] - stale) / possible)

    def below_stale(self, kind: str) -> int:
        """Return after how many tasks, of all seeds, a kind retrieves worse than vectors left alone."""
        return int((self.recall[kind] < self.recall[STALE]).sum())


def render(results: Sequence[dict[str, Any]]) -> str:
    """Return for each stream its table, and what it says of the default."""
    parts = []
    for stream in dict.fromkeys(one["stream"] for one in results):
        runs = StreamRuns.of(stream, results)
        kinds = [kind for kind in (DEFAULT, ON_VIEWS) if kind in runs.recall]
        environment = [one["environment"] for one in results if one["stream"] == stream][-1]
        machine = ", ".join(f"{name} {value}" for name, value in environment.items())
        parts += [
            _table(runs),
            "\n".join(line for kind in kinds for line in findings(runs, kind)),
            f"Machine and versions: {machine}.",
        ]
    return "\n\n".join(parts)


def _table(runs: StreamRuns) -> str:
    kinds = sorted(runs.recall, key=lambda kind: -float(runs.recall[kind][:, -1].mean()))
    later = runs.recall[STALE].shape[1]
    lines = [
        f"**{runs.stream}**, {later + 1} tasks, seeds {', '.join(map(str, runs.seeds))}",
        "",
        "| old items | R@1, last task | efficiency, last task | worst task | gap in points, last task "
        "| worst task | below stale | seconds | kept |",
        f"|---|{'---:|' * 8}",
    ]
    return "\n".join([*lines, *(_row(runs, kind) for kind in kinds)])


def _row(runs: StreamRuns, kind: str) -> str:
    recall = spread_cell(spread(runs.recall[kind][:, -1].tolist()))
    if kind in (STALE, REEMBEDDED):
        return f"| {kind} | {recall} |{' |' * 7}"
    default = ON_VIEWS if ON_VIEWS in runs.recall else DEFAULT
    name = f"**{kind}**" if kind == default else kind
    efficiency, gap = runs.efficiency(kind), runs.gap(kind)
    seconds, kept = runs.costs[kind]
    cells = [
        recall,
        _over_seeds(efficiency[:, -1], 2),
        _over_seeds(efficiency[:, efficiency.mean(axis=0).argmin()], 2),
        _over_seeds(gap[:, -1], 1),
        _over_seeds(gap[:, gap.mean(axis=0).argmax()], 1),
        _of(runs.below_stale(kind), gap.size),
        f"{seconds:.2f}",
        size(round(kept)),
    ]
    return f"| {name} | {' | '.join(cells)} |"


def findings(runs: StreamRuns, kind: str) -> list[str]:
    """Say of a kind what was aimed at and what was reached after each later task."""
    least, largest = AIMS.get(runs.stream, (None, None))
    means = runs.efficiency(kind).mean(axis=0), runs.gap(kind).mean(axis=0)
    efficiency, gap = (mean.round(9) for mean in means)  # an aim just met is not missed by rounding
    lines = []
    if least is not None:
        said = "met" if efficiency.min() >= least else f"missed by {least - efficiency.min():.2f}"
        each = ", ".join(f"{value:.2f}" for value in efficiency)
        lines.append(
            f"- {kind}: efficiency after each later task, mean over seeds: {each}. Aim {least:g}: {said}."
        )
    if largest is not None:
        said = "met" if gap.max() <= largest else f"missed by {gap.max() - largest:.1f}"
        each = ", ".join(f"{value:.1f}" for value in gap)
        lines.append(f"- {kind}: gap in points, likewise: {each}. Aim at most {largest:g}: {said}.")
    return lines


def _over_seeds(values: Floats, digits: int) -> str:
    return spread_cell(spread(values.tolist()), digits)


def _of(count: int, all_of_them: int) -> str:
    return "never" if count == 0 else f"{count} of {all_of_them}"
