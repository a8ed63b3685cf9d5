"""Tables in the documentation are those of the last recorded results."""

from __future__ import annotations

from pathlib import Path

import pytest

import benchmarks
from benchmarks import (
    class_gaussians,
    cost_model,
    durability_cost,
    large_refresh,
    long_stream,
    near_copies,
    refresh_estimators,
    refresh_tables,
    scaling,
    statistics_size,
)
from benchmarks.documents import read_results
from benchmarks.side_by_side import __main__ as side_by_side
from benchmarks.side_by_side.summary import summary
from benchmarks.side_by_side.tables import table

ROOT = Path(benchmarks.__file__).parent.parent


@pytest.mark.parametrize(
    "benchmark",
    [statistics_size, class_gaussians, durability_cost, near_copies, large_refresh],
    ids=lambda one: one.TABLES,
)
def test_the_last_result_stands_in_the_documentation(benchmark):
    result = read_results(ROOT / benchmark.RESULTS)[-1]
    assert benchmark.table(result) in (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("benchmark", [cost_model, long_stream, scaling], ids=lambda one: one.TABLES)
def test_all_results_together_stand_in_the_documentation(benchmark):
    tables = benchmark.rendered(read_results(ROOT / benchmark.RESULTS))
    assert tables in (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")


def test_what_was_measured_side_by_side_stands_in_the_documentation_and_in_short_in_the_readme():
    rows, results = side_by_side.all_rows(), side_by_side.recorded(ROOT / side_by_side.RESULTS)
    assert table(rows, results) in (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    assert summary(rows, results) in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_stream_of_the_comparison_of_drift_estimators_stands_in_the_documentation():
    tables = refresh_tables.render(read_results(ROOT / refresh_estimators.RESULTS))
    assert tables in (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")


def test_what_classes_cost_stays_below_the_aim():
    cases = read_results(ROOT / statistics_size.RESULTS)[-1]["cases"]
    assert all(case["bytes"] <= statistics_size.LIMIT_BYTES for case in cases)
