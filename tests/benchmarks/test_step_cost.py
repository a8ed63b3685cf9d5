"""The arithmetic of the table; what it is computed from is timed by nobody here."""

import numpy as np
import pytest
from scipy.stats import binom

from benchmarks.documents import append_result, read_results, replace_tables
from benchmarks.side_by_side.intervals import median_with_interval
from benchmarks.step_cost_tables import ratios, render, verdict


def result(comparison: str, wall: list[list[float]], aim: float | None = None) -> dict[str, object]:
    return {
        "backbone": "conv4",
        "comparison": comparison,
        "aim": aim,
        "side": 32,
        "weights": "random",
        "bf16": False,
        "steps": 12,
        "threads": 1,
        "wall": wall,
        "cpu": wall,
        "environment": {"torch": "2"},
    }


def test_a_round_that_only_becomes_slower_favours_neither_side():
    assert ratios([[1.0, 2.0, 3.0, 4.0]]).tolist() == [1.0]


def test_each_round_gives_the_time_of_both_second_runs_over_both_first_ones():
    assert ratios([[1.0, 2.0, 4.0, 3.0], [2.0, 5.0, 5.0, 2.0]]).tolist() == [1.5, 2.5]


def test_the_interval_of_a_median_is_the_one_that_counting_gives():
    values = np.arange(1.0, 12.0)  # of 11 values; a resampled median is <= k where at least 6 draws are <= k
    at_most = [binom.sf(5, 11, k / 11) for k in range(1, 12)]
    low = next(k for k, share in enumerate(at_most, start=1) if share >= 0.025)
    high = next(k for k, share in enumerate(at_most, start=1) if share >= 0.975)
    assert (low, high) == (3, 9)
    assert median_with_interval(values) == (6.0, 3.0, 9.0)


def test_an_outlier_moves_neither_the_median_nor_the_interval_of_many_rounds():
    calm = np.full(15, 1.02)
    calm[4] = 9.0
    assert median_with_interval(calm) == pytest.approx((1.02, 1.02, 1.02))


def test_an_aim_is_met_only_by_the_whole_interval():
    assert verdict(1.05, 1.00, 1.05, rounds=15) == "met"
    assert verdict(1.05, 1.00, 1.06, rounds=15) == "open"
    assert verdict(1.05, 1.06, 1.07, rounds=15) == "missed"


def test_few_rounds_are_not_judged():
    assert verdict(1.05, 1.00, 1.01, rounds=14) == "too few rounds"


def test_the_table_shows_the_last_result_of_a_comparison():
    slow = [[1.0, 3.0, 3.0, 1.0]] * 15
    fair = [[1.0, 2.0, 2.0, 1.0]] * 15
    table = render([result("cohort of 2", slow, 2.2), result("cohort of 2", fair, 2.2)])
    lines = [line for line in table.splitlines() if line.startswith("| cohort of 2")]
    assert lines == [
        "| cohort of 2 | 15 | 2.000 (2.000 to 2.000) | 2.000 (2.000 to 2.000) | <= 2.2 | met |",
    ]


def test_a_table_without_an_aim_says_nothing_about_one():
    assert render([result("A/A", [[1.0, 1.0, 1.0, 1.0]])]).rstrip().endswith("|  |  |")


def test_tables_replace_only_what_lies_between_their_own_markers(tmp_path):
    document = tmp_path / "page.md"
    document.write_text("a\n<!-- x: begin -->\nold\n<!-- x: end -->\n<!-- y: begin -->\nb\n<!-- y: end -->")
    replace_tables(document, "x", "new\n")
    replace_tables(document, "y", "last\n")
    assert document.read_text() == (
        "a\n<!-- x: begin -->\n\nnew\n\n<!-- x: end -->\n<!-- y: begin -->\n\nlast\n\n<!-- y: end -->"
    )


def test_a_document_without_markers_is_left_alone_and_named(tmp_path):
    document = tmp_path / "page.md"
    document.write_text("nothing here")
    with pytest.raises(SystemExit, match=r"page\.md has no lines <!-- x: begin -->"):
        replace_tables(document, "x", "new\n")
    assert document.read_text() == "nothing here"


def test_results_are_read_in_the_order_in_which_they_came(tmp_path):
    path = tmp_path / "results" / "all.jsonl"
    for number in (3, 1, 2):
        append_result(path, {"number": number})
    assert [line["number"] for line in read_results(path)] == [3, 1, 2]


def test_missing_results_are_named(tmp_path):
    with pytest.raises(SystemExit, match=r"no results at .*none\.jsonl"):
        read_results(tmp_path / "none.jsonl")
