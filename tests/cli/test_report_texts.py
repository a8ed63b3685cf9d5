"""A report as CSV and Markdown, and the file that it is written to."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.render.report_texts import COLUMNS, markdown_of, report_csv, report_markdown, report_text
from cli.render.tables import Table, plain
from cli.reporting import chosen_format
from cli.whole_files import write_whole
from continual_dml.errors import CdmlError, SettingsError, UnknownChoice
from tests.cli.told_reports import told_content

REPORT = told_content(["latin", "=cmd()", "a|b <i>"]).report


def rows_of(report):
    return list(csv.DictReader(io.StringIO(report_csv(report))))


def test_csv_has_one_line_for_each_figure_that_was_measured():
    rows = rows_of(REPORT)
    assert tuple(rows[0]) == COLUMNS
    told = {(r["metric"], r["scope"], r["k"], r["after_task"], r["of_task"]): float(r["value"]) for r in rows}
    assert len(told) == len(rows)
    for k, matrix in REPORT["recall_at_k"].items():
        for after, row in enumerate(matrix, start=1):
            for of, value in enumerate(row, start=1):
                assert told["recall", "merged", k, str(after), str(of)] == value
    assert (
        told["forgetting_recall", "within", "1", "3", ""]
        == REPORT["within_task"]["summary"]["1"]["forgetting"]
    )
    assert told["queries", "merged", "", "3", "2"] == REPORT["queries"]["2"]["measured"]


def test_what_was_not_measured_has_no_line():
    report = {**REPORT, "map_at_r": [[None], [None, 0.5], [None, None, None]]}
    kept = [row for row in rows_of(report) if (row["metric"], row["scope"]) == ("map_at_r", "merged")]
    assert [(row["after_task"], row["of_task"], row["value"]) for row in kept] == [("2", "2", "0.5")]


def test_a_spreadsheet_does_not_take_a_name_for_a_formula():
    names = {row["of_task_name"] for row in rows_of(REPORT)}
    assert names == {"", "latin", "'=cmd()", "a|b <i>"}


def test_markdown_shows_names_as_they_are():
    text = report_markdown(REPORT, 1, live=True)
    assert text.startswith("# Report of generation 3\n")
    assert r"| after a\|b \<i\> |" in text
    assert "- Recall@K: share of queries" in text
    assert "# Report of generation 3, not live" in report_markdown(REPORT, 1, live=False)


@given(st.lists(st.text(max_size=8), min_size=2, max_size=2))
def test_every_row_of_a_markdown_table_has_as_many_cells(cells):
    lines = markdown_of(Table("t", ["", "x"], [cells])).split("\n")
    assert len(lines) == 5
    bars = [sum(line.count("|") - line.count("\\|") for line in lines[row : row + 1]) for row in (2, 3, 4)]
    assert bars == [3, 3, 3]


def test_a_k_that_was_not_measured_is_said_with_those_that_were():
    with pytest.raises(UnknownChoice, match="3"):
        list(report_text(REPORT, 3, plain, live=True))
    with pytest.raises(UnknownChoice, match="3"):
        report_markdown(REPORT, 3, live=True)


@pytest.mark.parametrize(
    ("wanted", "name", "expected"),
    [
        (None, None, "table"),
        (None, "r.html", "html"),
        (None, "R.HTM", "html"),
        (None, "r.json", "json"),
        (None, "r.csv", "csv"),
        (None, "r.md", "markdown"),
        (None, "r.txt", "table"),
        (None, "report", "table"),
        ("csv", "r.html", "csv"),
        ("html", None, "html"),
    ],
)
def test_the_end_of_a_name_says_the_format_unless_one_is_given(tmp_path, wanted, name, expected):
    output = None if name is None else tmp_path / name
    assert chosen_format(wanted, output, as_json=False) == expected


def test_formats_that_cannot_be_are_usage_errors(tmp_path, monkeypatch):
    with pytest.raises(UnknownChoice, match="html"):
        chosen_format("htm", None, as_json=False)
    with pytest.raises(SettingsError, match="two formats"):
        chosen_format("csv", None, as_json=True)
    with pytest.raises(SettingsError, match="is a folder"):
        chosen_format(None, tmp_path, as_json=False)
    with pytest.raises(SettingsError, match="no folder"):
        chosen_format(None, tmp_path / "missing" / "r.html", as_json=False)
    assert chosen_format("json", None, as_json=True) == "json"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with pytest.raises(SettingsError, match=r"-o report\.html"):
        chosen_format("html", None, as_json=False)


def test_a_file_is_replaced_whole_or_stays_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "report.csv"
    write_whole(path, b"before")
    write_whole(path, b"after")
    assert path.read_bytes() == b"after"

    def refuse(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(CdmlError, match=r"No space left on device; choose another place"):
        write_whole(path, b"half")
    assert path.read_bytes() == b"after"
    assert list(tmp_path.iterdir()) == [path]
