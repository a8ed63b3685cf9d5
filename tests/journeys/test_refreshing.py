"""Bringing a gallery up to date later, without a task, through the command line alone."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.journeys.test_the_main_job import TINY_INIT

TASK = ("--steps", "12", "--device", "cpu", "--precision", "fp32", "--refresh", "keep", "--min-recall", "0")


@pytest.fixture
def here(cdml, tmp_path):
    """A workspace of two tasks, the first one's items left stale, and images that are still there."""
    from streams.glyphs import render_task

    where = ("-w", tmp_path / "ws")
    assert cdml("init", *where, *TINY_INIT).code == 0
    for name in ("latin", "greek"):
        render_task(name, tmp_path / name, categories=4, samples_per_category=10, side_pixels=32)
        assert cdml("ingest-task", tmp_path / name, *where, *TASK).code == 0
    return where


def counts(cdml, here):
    gallery = json.loads(cdml("status", *here, "--json").out)["gallery"]
    return {state: gallery[state] for state in ("fresh", "projected", "stale")}


def test_a_budget_renews_some_and_carries_the_rest_and_later_the_rest_follows(cdml, here):
    before = counts(cdml, here)
    stale = before["stale"]

    run = cdml("refresh", *here, "--reembed-budget", "10", "--json")

    assert run.code == 0
    document = json.loads(run.out)
    assert (document["published"], document["promoted"], document["reembedded"]) == (True, True, 10)
    assert document["gallery_before"] == before
    assert document["gallery"] == {"fresh": before["fresh"] + 10, "projected": stale - 10, "stale": 0}
    assert counts(cdml, here) == document["gallery"]
    assert len(json.loads(cdml("report", *here, "--json").out)["recall_at_k"]["1"]) == 2
    run = cdml("refresh", *here)
    assert f"{stale - 10} images embedded anew; the gallery is now" in run.out
    assert counts(cdml, here) == {"fresh": before["fresh"] + stale, "projected": 0, "stale": 0}
    run = cdml("refresh", *here)
    assert run.code == 0
    assert run.out.startswith("nothing to do: every item is as the live model embeds it")
    assert "generation 4 stays live" in run.out


def test_what_is_gone_is_carried_and_asking_for_it_is_an_error(cdml, here, tmp_path):
    stale = counts(cdml, here)["stale"]
    shutil.rmtree(tmp_path / "latin")
    run = cdml("refresh", *here, "--refresh", "reembed")
    assert run.code == 7
    assert f"{stale} images of earlier tasks are missing or have changed" in run.err
    assert counts(cdml, here)["stale"] == stale > 0, "nothing was changed"
    assert "embeds it" not in cdml("refresh", *here, "--reembed-budget", "1").out
    again = cdml("refresh", *here, "--reembed-budget", "1")
    assert again.out.startswith("nothing to do: no image could be embedded anew"), "its folder is gone"
    assert cdml("refresh", *here).code == 0
    assert counts(cdml, here)["projected"] == stale


@pytest.mark.parametrize("budget", ["many", "-3", "1.5", "10x"])
def test_a_budget_that_is_none_is_a_usage_error(cdml, here, budget):
    run = cdml("refresh", *here, f"--reembed-budget={budget}")
    assert run.code == 2
    assert "write a number of images such as 5000, or a time such as 90s" in run.err


def test_before_the_first_task_there_is_nothing_to_refresh(cdml, tmp_path):
    where = ("-w", tmp_path / "empty")
    cdml("init", *where, *TINY_INIT)
    run = cdml("refresh", *where)
    assert run.code == 1
    assert "there is nothing to refresh" in run.err
