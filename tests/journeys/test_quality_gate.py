"""A task that should not go live does not, and a person has the last word, through the command line alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tests.journeys.test_the_main_job import TINY_INIT

TASK = ("--steps", "3", "--device", "cpu", "--precision", "fp32")


@pytest.fixture
def noise(tmp_path):
    """Four categories of random pixels."""
    random = np.random.default_rng(0)
    for name in ("one", "other", "third", "fourth"):
        (tmp_path / "noise" / name).mkdir(parents=True)
        for number in range(12):
            pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "noise" / name / f"{number}.png")
    return tmp_path / "noise"


@pytest.fixture
def here(site):
    return ("-w", site.workspace)


@pytest.fixture
def answers(cdml, site, here):
    image = sorted(site.latin.rglob("*.png"))[0]
    return lambda: json.loads(cdml("query", image, *here, "--json").out)


def on_disk(site):
    return sorted(path.name for path in (site.workspace / "gen").iterdir())


def test_noise_is_refused_and_what_was_live_keeps_answering(cdml, site, here, noise, answers):
    before, report = answers(), cdml("report", *here, "--json").out
    (noise / "one" / "broken.png").write_bytes(b"no picture")

    run = cdml("ingest-task", noise, *here, *TASK, "-q", "--json")

    assert run.code == 5, "also where files were left out"
    document = json.loads(run.out)
    assert (document["generation"], document["promoted"], document["gate"]["passed"]) == (3, False, False)
    forgetting, recall, efficiency = document["gate"]["checks"]
    assert (forgetting["name"], recall["name"], efficiency["name"]) == (
        "forgetting",
        "recall",
        "refresh_efficiency",
    )
    assert recall["value"] < recall["limit"]
    assert "--min-recall 0" in recall["note"]
    (line,) = run.err.splitlines()
    for words in (
        "error: the quality gate refused generation 3: recall is ",
        "generation 2 keeps serving",
        "`cdml report --generation 3`",
        "`cdml promote 3`",
        recall["note"],
    ):
        assert words in line
    assert answers() == before
    assert cdml("report", *here, "--json").out == report
    assert [task["name"] for task in json.loads(cdml("tasks", *here, "--json").out)["tasks"]] == [
        "latin",
        "greek",
    ]
    assert cdml("verify", "--deep", *here).code == 0

    again = cdml("ingest-task", noise, *here, *TASK)
    assert again.code == 5
    assert "generation 4, not live: learned 'noise'" in again.out
    assert on_disk(site) == ["00000002", "00000004"]


def test_a_refused_generation_can_be_looked_at_promoted_and_taken_back(cdml, site, here, noise, answers):
    before = answers()
    assert cdml("ingest-task", noise, *here, *TASK, "-q").code == 5

    looked = cdml("report", "--generation", "3", *here)
    assert looked.out.startswith("generation 3, not live\n\ngate: failed (recall 0.")
    assert "after noise" in looked.out
    document = json.loads(cdml("report", "--generation", "3", *here, "--json").out)
    assert (document["live"], document["gate"]["passed"]) == (False, False)
    assert document["gate"]["refusal"].startswith("recall is ")
    rows = [line.split() for line in cdml("generations", *here).out.splitlines()]
    assert [row[2] for row in rows[2:]] == ["live", "refused"]
    forbidden = cdml("rollback", "3", *here)
    assert forbidden.code == 1
    assert "`cdml promote 3`" in forbidden.error_lines[0]

    done = cdml("promote", *here)

    assert done.code == 0, done.err
    assert done.out.startswith("generation 3 is live, promoted by hand (recall is ")
    assert done.out.endswith("; `cdml rollback 2` goes back\n")
    assert cdml("promote", *here, "3").out == "generation 3 is live already\n"
    assert answers()["generation"] == 3
    assert "promoted by hand" in cdml("report", *here).out.splitlines()[2]
    assert json.loads(cdml("report", *here, "--json").out)["live"] is True
    log = json.loads(cdml("generations", *here, "--json").out)["generations"]
    assert (log[-1]["live"], log[-1]["refused"]) == (True, document["gate"]["refusal"])
    assert "live, promoted" in cdml("generations", *here).out
    assert cdml("rollback", *here).out == "generation 2 is live again, 3 is not\n"
    assert answers() == before
    assert json.loads(cdml("promote", "3", *here, "--json").out) == {
        "schema_version": 1,
        "before": 2,
        "live": 3,
        "refusal": document["gate"]["refusal"],
    }


def test_a_task_that_passes_goes_live_and_the_report_says_by_how_much(cdml, site, here, noise):
    run = cdml("ingest-task", noise, *here, *TASK, "--min-recall", "0", "--json")

    assert run.code == 0, run.err
    document = json.loads(run.out)
    assert (document["promoted"], document["gate"]["refusal"]) == (True, None)
    assert document["gate"]["checks"][1]["note"] == "switched off"
    assert "gate: passed (" in cdml("report", *here).out
    refused = cdml("promote", "2", *here)
    assert refused.code == 1
    assert "`cdml rollback 2`" in refused.error_lines[0]
    assert "kept no generation back" in cdml("promote", *here).error_lines[0]
    assert cdml("report", "--generation", "nine", *here).code == 2
    assert "not kept any more" in cdml("report", "--generation", "1", *here).error_lines[0]


def test_a_first_task_that_is_refused_leaves_the_workspace_as_good_as_empty(cdml, tmp_path, noise):
    here = ("-w", tmp_path / "new")
    assert cdml("init", *here, *TINY_INIT).code == 0
    assert "[gate]\n# max_forgetting = 0.25\n" in (tmp_path / "new" / "cdml.toml").read_text()

    run = cdml("ingest-task", noise, *here, *TASK, "-q")

    assert run.code == 5
    assert "nothing is live yet" in run.error_lines[0]
    assert "no task yet" in cdml("status", *here).out
    assert cdml("query", next(noise.rglob("*.png")), *here).code == 1
    assert cdml("promote", *here).out.endswith(")\n"), "there is nothing to go back to"
    assert json.loads(cdml("status", *here, "--json").out)["generation"] == 1
