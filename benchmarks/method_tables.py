"""Short tables of what benchmarks/methods.py ran, from the runs.csv that each comparison leaves.

The long ones, with every readout and every K, are the table.md beside it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.render.benchmark_cells import interval_cell, size_cell, spread_cell
from continual_dml.comparisons.spread import Interval, Spread, gap_closed, paired_interval, spread

DEFAULT, FROZEN, JOINT = "mutual-distillation", "frozen", "joint"
OURS = (DEFAULT, "online-mutual-distillation")
STATISTICS = ("statistics", "reembedded")
PROJECTED = ("statistics", "projected")
TRAINED = ("trained", "reembedded")

_MEASURES = frozenset(
    {
        "recall_at_1",
        "recall_at_8",
        "map_at_r",
        "forgetting",
        "unseen_recall_at_1",
        "seconds_learn",
        "bytes_statistics",
    }
)

Readout = tuple[str, str]
Cell = Callable[[str], str]


@dataclass(frozen=True)
class Runs:
    """Figures of one comparison: for each label and readout (head, gallery), those of each seed."""

    figures: dict[tuple[str, Readout], dict[int, dict[str, float]]]
    replaying: frozenset[str]

    @classmethod
    def read(cls, path: Path) -> Runs:
        """Read the runs.csv of a comparison."""
        figures: dict[tuple[str, Readout], dict[int, dict[str, float]]] = {}
        replaying = set()
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                label, seed = row["label"], int(row["seed"])
                measured = {name: float(text) for name, text in row.items() if name in _MEASURES and text}
                figures.setdefault((label, (row["head"], row["gallery"])), {})[seed] = measured
                if row["replays"] == "true":
                    replaying.add(label)
        return cls(figures, frozenset(replaying))

    @property
    def labels(self) -> list[str]:
        """All labels, the best mean Recall@1 first and those that replay at the end."""
        return sorted(
            dict.fromkeys(label for label, _ in self.figures),
            key=lambda label: (label in self.replaying, -self.mean(label, "recall_at_1")),
        )

    def by_seed(self, label: str, measure: str, readout: Readout = STATISTICS) -> dict[int, float]:
        """Return a measure of each seed that has it."""
        found = self.figures.get((label, readout), {})
        return {seed: measured[measure] for seed, measured in found.items() if measure in measured}

    def spread(self, label: str, measure: str, readout: Readout = STATISTICS) -> Spread | None:
        """Return mean and standard deviation over the seeds."""
        return spread([*self.by_seed(label, measure, readout).values()])

    def mean(self, label: str, measure: str, readout: Readout = STATISTICS) -> float:
        """Return the mean over the seeds, minus infinity without any."""
        found = self.spread(label, measure, readout)
        return float("-inf") if found is None else found.mean

    def less(
        self,
        label: str,
        other: str,
        measure: str,
        readout: Readout = STATISTICS,
        others: Readout | None = None,
    ) -> Interval | None:
        """Return by how much ``label`` has more than ``other``, over the seeds that both ran."""
        mine = self.by_seed(label, measure, readout)
        theirs = self.by_seed(other, measure, others or readout)
        shared = sorted(mine.keys() & theirs.keys())
        return paired_interval([mine[seed] - theirs[seed] for seed in shared]) if shared else None

    def gap_closed(self, label: str) -> Spread | None:
        """Return the share of the way from the frozen network to joint training, per seed."""
        reached, low, high = (self.by_seed(one, "recall_at_1") for one in (label, FROZEN, JOINT))
        return gap_closed(reached, low, high)


def render(results: Path, *, ablation: bool) -> str:
    """Return the conditions of a comparison, its short table and where the long ones are."""
    runs = Runs.read(results / "runs.csv")
    conditions = (results / "table.md").read_text().partition("\n\n")[0]
    conditions = re.sub(r" Differences are to \*\*.*?\*\* on the same seeds\.", "", conditions)  # not these
    table = ablation_table(runs) if ablation else f"{methods_table(runs)}\n\n{findings(runs)}"
    return f"{conditions} All readouts: `{results.as_posix()}/table.md`.\n\n{table}"


def methods_table(runs: Runs) -> str:
    """Return one row for each method; unless the column says otherwise, by its statistics head."""

    def shown(measure: str, readout: Readout = STATISTICS) -> Cell:
        return lambda label: spread_cell(runs.spread(label, measure, readout))

    columns: list[tuple[str, Cell]] = [
        ("R@1", shown("recall_at_1")),
        ("less the default", lambda label: interval_cell(_less_default(runs, label))),
        ("gap closed", lambda label: spread_cell(runs.gap_closed(label), 2)),
        ("R@8", shown("recall_at_8")),
        ("mAP@R", shown("map_at_r")),
        ("forgetting", shown("forgetting")),
        ("unseen R@1", shown("unseen_recall_at_1")),
        ("R@1, old items projected", shown("recall_at_1", PROJECTED)),
        ("R@1, trained head", shown("recall_at_1", TRAINED)),
        ("seconds", lambda label: spread_cell(runs.spread(label, "seconds_learn"), 0)),
        ("statistics", lambda label: size_cell(runs.spread(label, "bytes_statistics"))),
    ]
    names = {label: f"{label} (replays)" if label in runs.replaying else label for label in runs.labels}
    return _table("method", columns, [(names[label], label) for label in runs.labels])


def _less_default(runs: Runs, label: str) -> Interval | None:
    return None if label == DEFAULT else runs.less(label, DEFAULT, "recall_at_1")


def findings(runs: Runs) -> str:
    """Say where the default stands, in the words of what was aimed at."""
    free = [label for label in runs.labels if label not in runs.replaying]
    rivals = [label for label in free if not label.startswith(f"{DEFAULT}+")]
    lines = [
        f"- Rank of the default among the {len(rivals)} methods without replay (its own options left out): "
        f"{rivals.index(DEFAULT) + 1}; first is `{rivals[0]}`."
    ]
    gap = runs.gap_closed(DEFAULT)
    if gap is not None:
        lines.append(f"- Share of the gap from frozen to joint that it closes: {spread_cell(gap, 2)}.")
    measure = "unseen_recall_at_1"
    baselines = [label for label in free if label.partition("+")[0] not in OURS]
    if baselines:
        best = max(baselines, key=lambda label: runs.mean(label, measure))
        difference = interval_cell(runs.less(DEFAULT, best, measure))
        lines.append(f"- Its unseen R@1 less that of the best baseline there, `{best}`: {difference}.")
    return "\n".join(lines)


def ablation_table(runs: Runs) -> str:
    """Return one row for each change, and what it adds to (or takes from) the same without it."""

    def added(measure: str, readout: Readout = STATISTICS) -> Cell:
        return lambda label: interval_cell(runs.less(label, _without(label), measure, readout))

    columns: list[tuple[str, Cell]] = [
        ("R@1", lambda label: spread_cell(runs.spread(label, "recall_at_1"))),
        ("R@1 added", added("recall_at_1")),
        ("forgetting added", added("forgetting")),
        ("unseen R@1 added", added("unseen_recall_at_1")),
        ("projected R@1 added", added("recall_at_1", PROJECTED)),
    ]
    bases = [label for label in dict.fromkeys(label for label, _ in runs.figures) if "+" not in label]
    rows = [(label, label) for base in bases for label in _family(runs, base)]
    heads = [
        f"- `{base}` with the trained head instead of the computed one: R@1 "
        f"{interval_cell(runs.less(base, base, 'recall_at_1', TRAINED, STATISTICS))}, unseen "
        f"{interval_cell(runs.less(base, base, 'unseen_recall_at_1', TRAINED, STATISTICS))}."
        for base in bases
    ]
    return _table("change", columns, rows) + "\n\n" + "\n".join(heads)


def _family(runs: Runs, base: str) -> list[str]:
    """Return ``base``, then its changes; a change of a change follows what it changes."""
    labels = dict.fromkeys(label for label, _ in runs.figures)
    return sorted(
        (label for label in labels if label.split("+")[0] == base), key=lambda label: label.split("+")
    )


def _without(label: str) -> str:
    """Return the label without its last change.

    >>> _without("finetune+model.cohort=2+cohort.transfer=0"), _without("finetune")
    ('finetune+model.cohort=2', '')
    """
    return label.rpartition("+")[0]


def _table(first: str, columns: Sequence[tuple[str, Cell]], rows: Sequence[tuple[str, str]]) -> str:
    lines = [
        f"| {' | '.join([first, *(heading for heading, _ in columns)])} |",
        f"|{'|'.join(['---', *('---:' for _ in columns)])}|",
    ]
    lines += [
        f"| {' | '.join([f'`{name}`', *(cell(label) for _, cell in columns)])} |" for name, label in rows
    ]
    return "\n".join(lines)
