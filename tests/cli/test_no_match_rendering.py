"""What is said of queries that have no match, and of the threshold itself."""

from __future__ import annotations

import json

import pytest

from cli.render.answers import show_answer
from cli.render.thresholds import MOST_DOUBTFUL, doubtful_categories, threshold_text
from cli.searching import Answer, Hit
from cli.shell import Shell
from continual_dml.records import CatalogItem, Role
from continual_dml.verdicts import Verdict

APPLE = Hit(CatalogItem(1, 1, "apple", 1, "fruit", Role.GALLERY, "hash", "/a.png"), 0.41)
MATCH, NO_MATCH = Verdict(True, 0.4, 0.93), Verdict(False, 0.55, 0.2)


def answered(verdict: Verdict, hits=(APPLE,)) -> Answer:
    return Answer(1, (("some.jpg", list(hits)),), frozenset({"apple"}), (verdict,))


def test_a_query_without_a_match_gets_one_line_in_the_place_of_its_neighbours(capsys):
    show_answer(Shell(), answered(NO_MATCH))

    path, line = capsys.readouterr().out.splitlines()
    assert path == "some.jpg"
    assert line.startswith("no match: the nearest is apple at 0.410, below the threshold 0.550;")
    assert "--no-threshold" in line


def test_a_match_says_of_which_category_and_how_sure_that_is(capsys):
    show_answer(Shell(), answered(MATCH))

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "some.jpg: apple, confidence 0.93"
    assert lines[2].split()[:3] == ["1", "0.410", "apple"]


def test_where_nothing_can_be_found_nothing_matches(capsys):
    show_answer(Shell(), answered(Verdict(match=False), ()))

    assert capsys.readouterr().out.splitlines()[1] == "no match: there is nothing to compare with"


def test_names_of_files_and_categories_do_not_steer_the_terminal(capsys):
    odd = Hit(CatalogItem(1, 1, "ap\x1b[31mple", 1, "fruit", Role.GALLERY, "hash", "/a.png"), 0.41)
    show_answer(Shell(), Answer(1, (("so\nme.jpg", [odd]),), verdicts=(NO_MATCH,)))

    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (MATCH, {"match": True, "threshold": 0.4, "confidence": 0.93}),
        (NO_MATCH, {"match": False, "threshold": 0.55, "confidence": 0.2}),
        (Verdict(None, None, 0.5), {"match": None, "threshold": None, "confidence": 0.5}),
    ],
)
def test_programs_get_the_verdict_and_the_neighbours_in_any_case(capsys, verdict, expected):
    show_answer(Shell(as_json=True), answered(verdict))

    [query] = json.loads(capsys.readouterr().out)["queries"]
    assert {name: query[name] for name in expected} == expected
    assert [one["category"] for one in query["neighbours"]] == ["apple"]


def test_only_where_no_query_has_a_match_the_answer_has_none():
    both = (("a", [APPLE]), ("b", [APPLE]))

    assert Answer(1, both, verdicts=(NO_MATCH, NO_MATCH)).has_no_match
    assert not Answer(1, both, verdicts=(NO_MATCH, MATCH)).has_no_match
    assert not Answer(1, both, verdicts=(Verdict(None), Verdict(None))).has_no_match
    assert not Answer(1, both).has_no_match


def reported(**changes: object) -> dict[str, object]:
    test = {
        "generation": 1,
        "task_id": 2,
        "images": 30,
        "categories": 10,
        "threshold": 0.6,
        "accepted": 0.042,
    }
    found = {
        "threshold": 0.7, "reason": None, "false_accepts": 0.031, "true_accepts": 0.615, "auroc": 0.874,
        "tests": [test], "categories": {},
    }  # fmt: skip
    return {"tasks": [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}], "no_match": {**found, **changes}}


def test_the_report_says_what_the_threshold_does_and_what_the_one_before_did_to_the_new_task():
    text = threshold_text(reported())

    assert text is not None
    for part in ("0.700", "3.1 %", "61.5 %", "AUROC 0.874", "generation 1", "4.2 %", "'two', 10 categories"):
        assert part in text


def test_a_test_on_an_earlier_task_or_without_a_threshold_is_not_told():
    old = {"generation": 1, "task_id": 1, "images": 3, "categories": 1, "threshold": 0.6, "accepted": 0.5}
    unable = {**old, "task_id": 2, "threshold": None, "accepted": None}

    assert "generation" not in str(threshold_text(reported(tests=[old])))
    assert "generation" not in str(threshold_text(reported(tests=[unable])))
    assert "generation" not in str(threshold_text(reported(tests=[])))


def test_a_report_without_a_threshold_says_why_and_an_older_one_nothing():
    text = threshold_text(reported(threshold=None, reason="too few", tests=[]))

    assert text == "No threshold: too few; every query is answered."
    assert threshold_text({"tasks": []}) is None
    assert doubtful_categories({"tasks": []}) is None


def test_the_least_certain_categories_come_first_and_unasked_ones_are_left_out():
    def figures(name: str, answers: int, right: int, low: float, high: float) -> dict[str, object]:
        return {"name": name, "images": 9, "answers": answers, "right": right, "interval": [low, high]}

    many = {str(n): figures(f"sure-{n}", 9, 9, 0.7, 1.0) for n in range(MOST_DOUBTFUL + 3)}
    categories = {
        **many, "50": figures("never", 0, 0, 0.0, 1.0), "51": figures("apple", 5, 1, 0.04, 0.6),
        "52": figures("pear", 4, 0, 0.0, 0.5),
    }  # fmt: skip
    table = doubtful_categories(reported(categories=categories))

    assert table is not None
    assert [row[0] for row in table.rows[:3]] == ["pear", "apple", "sure-0"]
    assert table.rows[1][1:] == ["9", "5", "0.200", "0.040 to 0.600"]
    assert len(table.rows) == MOST_DOUBTFUL
