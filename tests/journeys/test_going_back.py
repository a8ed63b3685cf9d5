"""A task that should not have been learned is undone, through the command line alone."""

from __future__ import annotations

import json

TINY_TASK = ("--steps", "3", "--device", "cpu", "--precision", "fp32", "-q")


def test_a_task_is_undone_and_done_again(cdml, site, arrows):
    here = ("-w", site.workspace)
    query = next(iter(sorted(site.latin.rglob("*.png"))))
    before = json.loads(cdml("query", query, *here, "--json").out)
    report = json.loads(cdml("report", *here, "--json").out)
    assert cdml("tag", "good", *here).out == "'good' is generation 2\n"
    assert cdml("ingest-task", arrows, *here, *TINY_TASK).code == 0

    assert cdml("rollback", *here).out == "generation 2 is live again, 3 is not\n"

    assert json.loads(cdml("query", query, *here, "--json").out) == before
    assert json.loads(cdml("report", *here, "--json").out) == report
    assert json.loads(cdml("rollback", "3", *here, "--json").out) == {
        "schema_version": 1,
        "before": 2,
        "live": 3,
    }
    assert cdml("rollback", "good", *here).code == 0
    assert cdml("ingest-task", arrows, *here, *TINY_TASK).code == 0
    assert [task["name"] for task in json.loads(cdml("tasks", *here, "--json").out)["tasks"]] == [
        "latin",
        "greek",
        "arrows",
    ]


def test_the_log_names_live_undone_and_kept_generations(cdml, site, arrows):
    here = ("-w", site.workspace)
    cdml("tag", "good", *here)
    cdml("ingest-task", arrows, *here, *TINY_TASK)
    cdml("rollback", "good", *here)

    lines = [line.split() for line in cdml("generations", *here).out.splitlines()]
    assert [line[0] for line in lines[1:]] == ["1", "2", "3"]
    assert (lines[2][2], lines[3][2]) == ("live", "undone")
    assert lines[2][-1] == "good"
    assert "not kept" in " ".join(lines[1])
    document = json.loads(cdml("generations", *here, "--json").out)
    assert [one["kept"] for one in document["generations"]] == [False, True, True]
    recall = json.loads(cdml("report", *here, "--json").out)["summary"]["1"]["average"]
    assert abs(document["generations"][1]["recall_at_1"] - recall) < 1e-9


def test_collecting_frees_what_no_tag_keeps(cdml, site, arrows):
    here = ("-w", site.workspace)
    cdml("tag", "good", *here)
    cdml("ingest-task", arrows, *here, *TINY_TASK)
    assert json.loads(cdml("gc", *here, "--json").out)["removed"] == []
    assert cdml("tag", "good", "--delete", *here).out == "'good' is no tag any more\n"
    done = cdml("gc", *here, "--keep", "1")
    assert done.out.startswith("1 generation removed, ")
    assert not done.out.endswith(" 0 B freed\n")


def test_what_cannot_be_brought_back_is_said_in_one_line(cdml, site, tmp_path):
    here = ("-w", site.workspace)
    missing = cdml("rollback", *here)
    assert missing.code == 1
    assert missing.error_lines == [
        "error: the files of generation 1 are not kept any more: see `cdml generations`; to keep more, tag "
        "them or raise keep_generations in cdml.toml"
    ]
    unknown = cdml("rollback", "goood", *here)
    assert (unknown.code, len(unknown.error_lines)) == (2, 1)
    assert cdml("tag", "7", *here).error_lines[0].startswith("error: '7' cannot be a tag")
    assert "leave the generation out" in cdml("tag", "x", "2", "--delete", *here).err
    empty = tmp_path / "empty"
    cdml("init", "-w", empty, "--backbone", "conv4", "--weights", "none", "--keep-generations", "4")
    assert "keep_generations = 4" in (empty / "cdml.toml").read_text()
    assert "there is nothing to go back to" in cdml("rollback", "-w", empty).err
    assert "there is nothing to tag" in cdml("tag", "x", "-w", empty).err
    assert cdml("generations", "-w", empty).out.startswith("no generation yet")
