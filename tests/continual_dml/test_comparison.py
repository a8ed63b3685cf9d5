"""Summaries of small run documents whose numbers a person can check."""

from __future__ import annotations

import pytest

from continual_dml.comparisons.documents import check_runs, notes_on
from continual_dml.comparisons.spread import Spread
from continual_dml.comparisons.summary import compare
from continual_dml.errors import CdmlError, UnknownChoice

TASK = {"categories": 5, "train_images": 20, "query_images": 10}


def readout(last: float, head: str = "statistics", gallery: str = "reembedded", first: float | None = 0.9):
    """Two tasks: Recall@1 ``first`` after the first, ``last`` for both after the second."""
    rows = [[first], [last, last]]
    deeper = [[0.9], [0.9, 0.95]]
    return {
        "head": head,
        "gallery": gallery,
        "recall": {"merged": {"1": rows, "4": deeper}, "within": {"1": [[0.9], [0.85, 0.9]]}, "group": {}},
        "map_at_r": {"merged": [[0.5], [0.4, 0.6]], "within": [[0.5], [0.5, 0.7]]},
        "unseen_recall": {"1": [0.6, None]},
        "nmi": None,
    }


def run(label: str, seed: int, *readouts, method: str | None = None, replays: bool = False, **changes):
    return {
        "schema_version": 1,
        "kind": "benchmark-run",
        "stream": {
            "name": "fruit",
            "tasks": [{"name": "a", **TASK}, {"name": "b", **TASK}],
            "validation": False,
        },
        "method": method or label,
        "label": label,
        "seed": seed,
        "replays": replays,
        "settings": {"training": {"seed": seed, "steps": 8}},
        "environment": {"torch": "2"},
        "seconds": {"learn": [1.0, 2.0], "measure": [0.5, 0.5], "total": 4.5},
        "peak_memory_bytes": None,
        "bytes_kept": {"model": 10, "head": 1, "statistics": 4, "drift": 5, "images": 0},
        "readouts": list(readouts),
        "members": [],
        "loss_terms": [{}, {}],
        **changes,
    }


def row_of(comparison, label, head="statistics", gallery="reembedded"):
    (found,) = [r for r in comparison.rows if (r.label, r.head, r.gallery) == (label, head, gallery)]
    return found


def three(label: str, values, **more):
    return [run(label, seed, readout(value), **more) for seed, value in enumerate(values)]


def test_measures_are_means_and_deviations_over_seeds():
    found = row_of(compare(three("ours", [0.70, 0.80, 0.90])), "ours")

    assert found.measures["recall_at_1"] == Spread(0.8, 0.1, 3)
    assert found.measures["forgetting"] == Spread(pytest.approx(0.1), 0.1, 3)  # .9 - .7, .9 - .8, .9 - .9
    assert found.mean("within_forgetting") == pytest.approx(0.05)  # .9 - .85
    assert found.mean("recall_at_4") == pytest.approx(0.925)
    assert found.mean("map_at_r") == pytest.approx(0.5)  # (.4 + .6) / 2
    assert found.mean("unseen_recall_at_1") == pytest.approx(0.6)  # the last stage has no unseen category
    assert (found.mean("seconds_learn"), found.mean("seconds_total"), found.mean("bytes_kept")) == (
        3.0,
        4.5,
        20,
    )
    assert found.mean("peak_memory_bytes") is None
    assert found.mean("nmi") is None


def test_the_mean_matrix_and_the_averages_over_tasks_are_kept_for_drawing():
    found = row_of(compare(three("ours", [0.7, 0.8])), "ours")

    assert found.matrix == ((0.9,), (0.75, 0.75))
    assert [stage.mean for stage in found.over_tasks] == [0.9, 0.75]


def test_methods_without_replay_come_first_best_first():
    runs = [
        run("joint", 0, readout(0.99), replays=True),
        run("worse", 0, readout(0.5)),
        run("better", 0, readout(0.6), readout(0.55, head="trained")),
    ]

    order = [(row.label, row.head) for row in compare(runs).rows]

    assert order == [
        ("better", "statistics"),
        ("better", "trained"),
        ("worse", "statistics"),
        ("joint", "statistics"),
    ]


def test_a_method_is_represented_by_its_statistics_head_over_a_reembedded_gallery():
    runs = [
        run("both", 0, readout(0.9, head="trained"), readout(0.5), readout(0.95, gallery="projected")),
        run("trained only", 0, readout(0.7, head="trained")),
    ]

    headlines = [(row.label, row.head, row.gallery) for row in compare(runs).headlines()]

    assert headlines == [("trained only", "trained", "reembedded"), ("both", "statistics", "reembedded")]


def test_differences_are_taken_on_common_seeds_only():
    runs = [
        *three("frozen", [0.70, 0.75, 0.80]),
        run("ours", 1, readout(0.77)),
        run("ours", 7, readout(0.99)),
    ]

    found = row_of(compare(runs), "ours").difference["recall_at_1"]

    assert (round(found.mean, 6), found.seeds) == (0.02, 1)


def test_the_baseline_has_no_difference_to_itself():
    comparison = compare([*three("frozen", [0.7, 0.8]), *three("ours", [0.8, 0.9])])

    assert comparison.baseline == "frozen"
    assert row_of(comparison, "frozen").difference["recall_at_1"] is None
    assert row_of(comparison, "ours").difference["recall_at_1"].mean == pytest.approx(0.1)


def test_another_baseline_can_be_chosen_and_a_wrong_one_is_named():
    runs = [run("finetune", 0, readout(0.5)), run("ours", 0, readout(0.8))]

    assert row_of(compare(runs, "finetune"), "ours").difference["recall_at_1"].mean == pytest.approx(0.3)
    assert compare(runs).baseline is None
    with pytest.raises(UnknownChoice, match="did you mean finetune"):
        compare(runs, "finetunes")


def test_the_gap_closed_is_taken_per_seed_and_averaged():
    runs = [
        *three("frozen", [0.70, 0.60]),
        *three("ours", [0.75, 0.80]),  # half of .1, and all of .2
        *three("joint", [0.80, 0.80], replays=True),
    ]

    comparison = compare(runs)

    assert row_of(comparison, "ours").gap_closed == Spread(0.75, pytest.approx(0.353553), 2)
    assert row_of(comparison, "frozen").gap_closed.mean == 0.0
    assert row_of(comparison, "joint").gap_closed.mean == 1.0


def test_there_is_no_gap_without_both_its_ends():
    comparison = compare([*three("frozen", [0.7]), *three("ours", [0.8])])

    assert row_of(comparison, "ours").gap_closed is None
    assert comparison.notes == ()


def test_a_gap_that_is_not_there_is_told_instead_of_divided_by():
    comparison = compare([
        *three("frozen", [0.7, 0.7]), *three("ours", [0.8, 0.8]), *three("joint", [0.7, 0.9], replays=True)
    ])  # fmt: skip

    assert row_of(comparison, "ours").gap_closed is None
    assert any("no gap to close" in note for note in comparison.notes)


def test_joint_training_measured_after_its_last_task_only_has_no_forgetting():
    joint = readout(0.9, first=None)
    joint["recall"]["within"] = {"1": [[None], [0.9, 0.9]]}

    found = row_of(compare([run("joint", 0, joint, replays=True)]), "joint")

    assert found.mean("recall_at_1") == pytest.approx(0.9)
    assert found.mean("forgetting") is None
    assert found.over_tasks[0] is None


def test_a_projected_gallery_is_compared_with_the_reembedded_one_of_the_same_run():
    runs = [
        run("ours", seed, readout(0.8), readout(0.8 - 0.01 * seed, gallery="projected")) for seed in (1, 3)
    ]

    found = row_of(compare(runs), "ours", gallery="projected").to_reembedded

    assert found.mean == pytest.approx(-0.02)
    assert row_of(compare(runs), "ours").to_reembedded is None


def test_a_zero_shot_run_is_ranked_by_its_unseen_categories():
    def zero_shot(label, value):
        only = {
            "head": "trained", "gallery": "reembedded", "recall": {}, "map_at_r": {},
            "unseen_recall": {"1": [value], "2": [value + 0.1]}, "nmi": [0.5],
        }  # fmt: skip
        return run(label, 0, only)

    comparison = compare([zero_shot("low", 0.4), zero_shot("high", 0.6)])

    assert [row.label for row in comparison.rows] == ["high", "low"]
    assert (comparison.ks, comparison.deep_k) == ((1, 2), 2)
    assert comparison.rows[0].mean("nmi") == 0.5
    assert comparison.rows[0].matrix == ()


def test_members_of_a_cohort_are_averaged_and_the_best_is_kept_apart():
    members = [{"member": 0, "average_recall_at_1": 0.6}, {"member": 1, "average_recall_at_1": 0.7}]

    found = row_of(compare([run("cohort", 0, readout(0.8), members=members)]), "cohort")

    assert (found.mean("members_mean"), found.mean("best_member")) == (pytest.approx(0.65), 0.7)


def test_nan_stands_for_what_was_not_measured():
    assert row_of(compare([run("ours", 0, readout(float("nan")))]), "ours").mean("recall_at_1") is None


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([], "no benchmark run to compare"),
        ([run("a", 0), run("a", 0)], "two runs of 'a' with seed 0"),
        ([{"kind": "report", "schema_version": 1}], "no benchmark run of version 1"),
        ([{**run("a", 0), "schema_version": 2}], "no benchmark run of version 1"),
        ([{name: value for name, value in run("a", 0).items() if name != "seed"}], "has no 'seed'"),
        ([run("a", 0), run("b", 0, stream={"name": "other", "tasks": []})], "different streams"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(runs, message):
    with pytest.raises(CdmlError, match=message):
        check_runs(runs)


def test_a_run_that_ended_early_is_refused():
    short = readout(0.8)
    short["recall"]["merged"]["1"] = [[0.9]]

    with pytest.raises(CdmlError, match="holds 1 of 2 tasks"):
        compare([run("ours", 0, short)])


def test_what_differs_between_runs_is_told():
    other = {"training": {"seed": 1, "steps": 9}}
    runs = [run("a", 0), run("a", 1, settings=other), run("b", 0, environment={"torch": "3"})]

    assert notes_on(runs) == [
        "The runs come from different environments (torch); do not compare times.",
        "Settings differ between the seeds of a: training.steps.",
        "b has no run for seed 1.",
    ]


def test_validation_scores_are_never_taken_for_test_scores():
    stream = {"name": "fruit", "tasks": [{"name": "a", **TASK}], "validation": True}

    assert "not on the test set" in notes_on([run("a", 0, stream=stream)])[0]
