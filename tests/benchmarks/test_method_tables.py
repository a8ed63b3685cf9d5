"""Short tables of method comparisons, from the figures of each seed."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from benchmarks.method_tables import (
    PROJECTED,
    TRAINED,
    Runs,
    ablation_table,
    findings,
    methods_table,
    render,
)
from benchmarks.methods import comparisons

FIELDS = ("label", "replays", "seed", "head", "gallery", "recall_at_1", "unseen_recall_at_1", "forgetting")


def written(folder: Path, recalls: dict[str, tuple[float, float]], unseen: dict[str, float]) -> Runs:
    """Write two seeds of each label, with a trained head that is 0.1 worse and projected items 0.05 worse."""
    path = folder / "runs.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        for label, of_seeds in recalls.items():
            for seed, recall in enumerate(of_seeds):
                for (head, gallery), worse in (
                    (("statistics", "reembedded"), 0),
                    (PROJECTED, 0.05),
                    (TRAINED, 0.1),
                ):
                    row = (label, "true" if label == "joint" else "false", seed, head, gallery)
                    figures = (recall - worse, unseen.get(label, 0.5), "" if label == "joint" else 0.02)
                    writer.writerow(dict(zip(FIELDS, (*row, *figures), strict=True)))
    return Runs.read(path)


METHODS = {
    "frozen": (0.5, 0.6),
    "joint": (0.9, 0.8),
    "finetune": (0.6, 0.6),
    "mutual-distillation": (0.8, 0.7),
    "mutual-distillation+model.cohort=2": (0.85, 0.75),
}


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return written(tmp_path, METHODS, {"finetune": 0.52})


def test_methods_are_sorted_by_their_mean_and_those_that_replay_come_last(runs: Runs) -> None:
    assert runs.labels == [
        "mutual-distillation+model.cohort=2",
        "mutual-distillation",
        "finetune",
        "frozen",
        "joint",
    ]


def test_the_gap_is_closed_seed_by_seed(runs: Runs) -> None:
    found = runs.gap_closed("mutual-distillation")
    assert found is not None
    assert found.mean == pytest.approx((0.3 / 0.4 + 0.1 / 0.2) / 2)


def test_a_difference_is_taken_on_the_seeds_that_both_ran(tmp_path: Path) -> None:
    runs = written(tmp_path, {"mutual-distillation": (0.8,), "finetune": (0.7, 0.1)}, {})
    found = runs.less("mutual-distillation", "finetune", "recall_at_1")
    assert found is not None
    assert (found.mean, found.seeds) == (pytest.approx(0.1), 1)
    assert runs.less("mutual-distillation", "lwf", "recall_at_1") is None


def test_each_method_has_a_row_and_what_was_not_measured_is_a_dash(runs: Runs) -> None:
    lines = methods_table(runs).splitlines()
    cells = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]] for line in lines[2:]
    }
    assert cells["`mutual-distillation`"][:3] == ["0.750 ± 0.071", "-", "0.62 ± 0.18"]
    assert cells["`finetune`"][1] == "-0.150 [-0.785, +0.485]"
    assert cells["`joint (replays)`"][5] == "-", "joint training forgets nothing because it learns once"
    assert cells["`frozen`"][7:9] == ["0.500 ± 0.071", "0.450 ± 0.071"]
    assert all(row[3] == "-" for row in cells.values()), "nothing here has R@8"


def test_the_findings_say_where_the_default_stands(runs: Runs) -> None:
    rank, gap, unseen = findings(runs).splitlines()
    assert "among the 3 methods without replay" in rank
    assert rank.endswith(": 1; first is `mutual-distillation`.")
    assert gap.endswith("0.62 ± 0.18.")
    assert "`finetune`: -0.020" in unseen


def test_a_change_is_compared_with_the_same_without_it(tmp_path: Path) -> None:
    cohort = "finetune+model.cohort=2"
    runs = written(
        tmp_path,
        {cohort: (0.7, 0.7), "finetune": (0.6, 0.6), f"{cohort}+cohort.transfer=0": (0.65, 0.65)},
        {},
    )
    rows = [line.split("|") for line in ablation_table(runs).splitlines()[2:5]]
    assert [(row[1].strip(), row[3].strip()[:6]) for row in rows] == [
        ("`finetune`", "-"),
        (f"`{cohort}`", "+0.100"),
        (f"`{cohort}+cohort.transfer=0`", "-0.050"),
    ]
    assert "`finetune` with the trained head instead of the computed one: R@1 -0.100" in ablation_table(runs)


def test_conditions_come_from_the_long_table(tmp_path: Path, runs: Runs) -> None:
    (tmp_path / "table.md").write_text(
        "Stream **glyphs**: seeds 0, 1. Differences are to **frozen** on the same seeds.\n\n**Retrieval**\n"
    )
    text = render(tmp_path, ablation=False)
    assert text.startswith(
        f"Stream **glyphs**: seeds 0, 1. All readouts: `{tmp_path}/table.md`.\n\n| method |"
    )
    assert text.endswith(findings(runs))


@pytest.mark.parametrize("name", comparisons())
def test_every_change_of_a_comparison_is_a_change_of_something_that_is_compared(name: str) -> None:
    methods = comparisons()[name].methods
    assert len(set(methods)) == len(methods)
    if name.startswith("ablation"):
        assert all(method.rpartition("+")[0] in (*methods, "") for method in methods)
