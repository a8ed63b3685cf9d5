"""Asking about what the gallery has, and about what it has never seen."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from streams.glyphs import render_task

TINY_TASK = ("--steps", "3", "--min-recall", "0", "--device", "cpu", "--precision", "fp32", "-q")


@pytest.fixture
def asking(cdml, site, tmp_path):
    """A workspace with a threshold, an image of a category that it knows, and one of another category.

    Three steps of training tell little apart: of several images of unknown categories, the one that was least
    like anything in the gallery is taken.
    """
    task, lax = tmp_path / "arrows", ("--set", "evaluation.false_accepts=0.2")
    render_task("arrows", task, categories=5, samples_per_category=12, side_pixels=32)
    told = cdml("-w", site.workspace, "ingest-task", task, *TINY_TASK, *lax)
    assert told.code == 0, told.err
    render_task("cyrillic", tmp_path / "cyrillic", categories=8, samples_per_category=1, side_pixels=32)
    asked = sorted((tmp_path / "cyrillic").rglob("*.png"))
    found = json.loads(cdml("-w", site.workspace, "query", *asked, "-k", "1", "--json").out)["queries"]
    strangest = min(found, key=lambda query: query["neighbours"][0]["score"])
    return site.workspace, strangest["neighbours"][0]["path"], strangest["path"]


def test_an_image_of_a_category_never_enrolled_has_no_match_and_an_enrolled_one_has(cdml, asking):
    workspace, known, stranger = asking
    code, out, err = cdml("-w", workspace, "query", stranger, "--json")
    assert code == 4, err
    [query] = json.loads(out)["queries"]
    assert query["match"] is False
    assert query["neighbours"][0]["score"] < query["threshold"]

    code, out, err = cdml("-w", workspace, "query", known, "--json")
    assert code == 0, err
    [query] = json.loads(out)["queries"]
    assert query["match"] is True
    assert query["neighbours"][0]["score"] >= query["threshold"]
    assert 0 < query["confidence"] < 1


def test_with_one_match_among_several_queries_the_answer_is_one(cdml, asking):
    workspace, known, stranger = asking
    code, out, err = cdml("-w", workspace, "query", known, stranger, "-k", "2")
    assert code == 0, err
    assert out.count("no match: ") == 1
    assert "confidence" in out


def test_without_the_threshold_every_query_is_answered_as_before(cdml, asking):
    workspace, _, stranger = asking
    code, out, err = cdml("-w", workspace, "query", stranger, "--no-threshold", "-k", "3", "--json")
    assert code == 0, err
    document = json.loads(out)
    assert document["queries"][0]["match"] is None
    assert len(document["queries"][0]["neighbours"]) == 3
    plain = cdml("-w", workspace, "query", stranger, "--no-threshold", "-k", "3")
    assert "no match" not in plain.out
    assert len(plain.out.splitlines()) == 5


def test_the_sheet_shows_a_query_without_a_match_with_pale_neighbours(cdml, asking, tmp_path):
    workspace, _, stranger = asking
    for name, more in (("pale.png", ()), ("plain.png", ("--no-threshold",))):
        cdml("-w", workspace, "query", stranger, "-k", "2", "--sheet", tmp_path / name, *more)
    pale, plain = (Image.open(tmp_path / name).convert("L") for name in ("pale.png", "plain.png"))
    assert pale.size == plain.size
    assert sum(pale.getdata()) > sum(plain.getdata())


def test_the_report_tells_the_threshold(cdml, asking):
    workspace, _, _ = asking
    code, out, err = cdml("-w", workspace, "report")
    assert code == 0, err
    assert "No match below" in out
    assert "Answers that can be trusted least" in out
    found = json.loads(cdml("-w", workspace, "report", "--json").out)["no_match"]
    assert found["target"] == 0.2
    assert 0 <= found["false_accepts"] <= 0.2


def test_where_there_is_no_threshold_the_query_says_so_and_answers(cdml, site):
    [image, *_] = sorted(site.latin.rglob("*.png"))
    code, out, err = cdml("-w", site.workspace, "query", image, "-k", "2")
    assert code == 0
    assert "every query is answered, there is no threshold: too few categories" in err
    assert len(out.splitlines()) == 4
    quiet = cdml("-w", site.workspace, "query", image, "-k", "2", "-q", "--json")
    assert quiet.err == ""
    assert "too few categories" in json.loads(quiet.out)["no_threshold"]


def test_a_filter_that_leaves_nothing_near_leaves_no_match(cdml, asking):
    workspace, known, _ = asking
    code, out, _ = cdml(
        "-w", workspace, "query", known, "--where", "category = 'nothing-of-this-name'", "--json"
    )
    assert code == 4
    [query] = json.loads(out)["queries"]
    assert (query["match"], query["neighbours"]) == (False, [])
