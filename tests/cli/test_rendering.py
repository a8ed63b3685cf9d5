"""Tables, amounts and progress, as people see them."""

from __future__ import annotations

import doctest

import pytest

import cli.render.amounts
import cli.render.documents
import cli.render.gates
import cli.shell
from cli.render.gates import gate_line
from cli.render.matrices import LEFT_OUT_SHOWN, left_out, matrix_table, members_table, without_positive
from cli.render.progress import BarListener, LineListener, progress_listener
from cli.render.tables import Table, rendered
from cli.shell import Shell
from continual_dml.ports import SilentListener


@pytest.mark.parametrize("module", [cli.render.amounts, cli.render.documents, cli.render.gates, cli.shell])
def test_the_examples_in_the_docstrings_hold(module):
    outcome = doctest.testmod(module)

    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_a_plain_table_aligns_words_left_and_numbers_right():
    table = Table("Fruit", ["name", "count"], [["apple", "5"], ["fig", "12"]])

    assert rendered(table).splitlines() == ["Fruit", "name   count", "apple      5", "fig       12"]


def test_the_line_of_a_gate_says_what_was_judged_and_what_became_of_it():
    failed = {"name": "refresh_efficiency", "value": 0.2, "limit": 0.5, "passed": False, "note": "try this"}
    unjudged = {"name": "recall", "value": None, "limit": None, "passed": True, "note": "too few"}
    lost = {"name": "forgetting", "value": 0.1, "limit": 0.3, "passed": True, "note": None}
    gate = {"passed": False, "refusal": "...", "checks": [lost, unjudged, failed]}
    words = "gate: failed (forgetting 0.100, at most 0.300; refresh efficiency 0.200, at least 0.500)"

    assert gate_line({"generation": 3, "gate": gate}, live=True) == f"{words}: promoted by hand"
    assert gate_line({"generation": 3, "gate": gate}, live=False) == (
        f"{words}: not live, `cdml promote 3` makes it so all the same; try this"
    )
    passed = {"passed": True, "refusal": None, "checks": [unjudged]}
    assert gate_line({"generation": 3, "gate": passed}, live=True) == "gate: passed (nothing could be judged)"
    assert gate_line({"generation": 3}, live=True) is None, "published by an earlier cdml"


def test_a_table_shows_odd_names_as_they_are_written():
    text = rendered(Table("", ["name"], [["[bold]x[/bold]"], ["tab\there"], ["\x1b[31mred"]]))

    assert text.splitlines() == ["name", "[bold]x[/bold]", "tab\\there", "\\x1b[31mred"]


def test_a_terminal_gets_a_drawn_table_with_the_same_words(monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    text = rendered(Table("Fruit", ["name", "count"], [["[bold]apple", "5"], ["fig", "12"]], (1,)))

    assert "─" in text
    assert "[bold]apple" in text


def test_a_recall_matrix_is_a_lower_triangle_with_dashes_for_what_is_not_known():
    table = matrix_table("R", [[0.5], [None, 1.0]], ["a", "b"])

    assert table.rows == [["after a", "0.500", ""], ["after b", "-", "1.000"]]


def test_members_of_a_cohort_stand_above_their_ensemble():
    members = [{"member": m, "backbone": "conv4", "average_recall_at_1": r} for m, r in ((0, 0.5), (1, None))]

    table = members_table({"members": members, "summary": {"1": {"average": 0.75}}})

    assert table is not None
    assert [row[0] for row in table.rows] == ["member 0 alone", "member 1 alone", "ensemble"]
    assert [row[-1] for row in table.rows] == ["0.500", "-", "0.750"]
    assert members_table({"summary": {}}) is None


def test_a_long_quarantine_list_is_cut_and_says_so():
    table = left_out([(f"{n}.jpg", "no image") for n in range(LEFT_OUT_SHOWN + 5)])

    assert len(table.rows) == LEFT_OUT_SHOWN + 1
    assert "5 more" in table.rows[-1][0]


def test_queries_without_a_positive_are_told_only_where_there_are_some():
    tasks = [{"id": 1, "name": "latin"}, {"id": 2, "name": "greek"}]
    queries = {"1": {"without_positive": 0}, "2": {"without_positive": 3}}

    assert without_positive({"tasks": tasks, "queries": queries}) == "Queries without a positive: greek 3."
    assert without_positive({"tasks": tasks[:1], "queries": {"1": queries["1"]}}) is None


def test_progress_in_a_log_is_one_line_per_stage_on_stderr(capsys):
    with progress_listener(Shell()) as listener:
        assert isinstance(listener, LineListener)
        listener.start("reading images", 12)
        listener.advance(12)
        listener.note("two\nlines")

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["reading images (12)", "note: two\\nlines"]


def test_quiet_progress_says_nothing(capsys):
    with progress_listener(Shell(quiet=True)) as listener:
        assert isinstance(listener, SilentListener)
        listener.start("reading images", 12)
        listener.advance(5, "loss 1")
        listener.note("something")

    assert capsys.readouterr() == ("", "")


def test_progress_on_a_terminal_draws_bars_on_stderr_alone(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress_listener(Shell()) as listener:
        assert isinstance(listener, BarListener)
        listener.start("reading [bold]images", 2)
        listener.advance(1, "loss 0.5")
        listener.start("training", 3)
        listener.note("a note")

    captured = capsys.readouterr()
    assert captured.out == ""
    assert "reading [bold]images" in captured.err
    assert "3/3" in captured.err
    assert "note: a note" in captured.err
