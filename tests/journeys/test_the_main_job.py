"""From an empty folder to a report, through the command line alone."""

from __future__ import annotations

import json
import shutil

import numpy as np

from streams.glyphs import render_task

TINY_INIT = ("--backbone", "conv4", "--weights", "none", "--image-side", "32", "--embedding-dim", "16")
TINY_TASK = ("--steps", "3", "--device", "cpu", "--precision", "fp32", "--json")


def test_init_two_ingests_query_report_and_status_fit_together(cdml, tmp_path):
    workspace = tmp_path / "ws"
    for name in ("latin", "greek"):
        render_task(name, tmp_path / name, categories=3, samples_per_category=6, side_pixels=32)

    made = json.loads(cdml("init", "-w", workspace, *TINY_INIT, "--no-flip", "--json").out)
    assert made["settings"]["model"]["backbone"] == "conv4"
    assert made["settings"]["training"]["flip"] is False
    first = json.loads(cdml("-w", workspace, "ingest-task", tmp_path / "latin", *TINY_TASK).out)
    second = json.loads(cdml("-w", workspace, "ingest-task", tmp_path / "greek", *TINY_TASK).out)
    report = json.loads(cdml("-w", workspace, "report", "--json").out)
    status = json.loads(cdml("-w", workspace, "status", "--json").out)
    tasks = json.loads(cdml("-w", workspace, "tasks", "--json").out)

    assert (first["generation"], second["generation"], report["generation"]) == (1, 2, 2)
    for task in (first["task"], second["task"]):
        assert task["train_images"] + task["query_images"] == 18
        assert (task["categories"], task["quarantined"]) == (3, [])
    assert report["recall_at_k"]["1"][0] == [first["recall_at_k"]["1"]["1"]]
    assert report["recall_at_k"]["1"][1] == list(second["recall_at_k"]["1"].values())
    assert report["summary"]["1"]["average"] == np.mean(report["recall_at_k"]["1"][1])
    assert [task["name"] for task in tasks["tasks"]] == ["latin", "greek"]
    assert status["categories"] == 6
    assert status["gallery"]["catalogued"] + status["queries"]["catalogued"] == 36


def test_the_counts_of_status_add_up_when_sources_are_gone(cdml, site, arrows):
    code, out, err = cdml("-w", site.workspace, "ingest-task", arrows, *TINY_TASK, "--refresh", "project")
    assert code == 0, err
    shutil.rmtree(arrows)

    gallery = json.loads(cdml("-w", site.workspace, "status", "--json").out)["gallery"]

    train = json.loads(out)["task"]["train_images"]
    assert gallery["catalogued"] == gallery["embedded"] == gallery["indexed"]
    assert gallery["fresh"] + gallery["projected"] + gallery["stale"] == gallery["embedded"]
    assert gallery["fresh"] == train
    assert gallery["on_disk"] == gallery["catalogued"] - train


def test_a_gallery_image_finds_itself_first(cdml, site):
    images = sorted(site.latin.rglob("*.png"))
    workspace = ("-w", site.workspace)
    found = json.loads(cdml("query", *images, "-k", "3", *workspace, "--json").out)

    best = {query["path"]: query["neighbours"][0] for query in found["queries"]}
    themselves = [path for path, neighbour in best.items() if neighbour["path"] == path]
    assert all(best[path]["score"] > 0.999 for path in themselves)
    status = json.loads(cdml("status", *workspace, "--json").out)
    assert len(themselves) >= status["gallery"]["catalogued"] // 2 - 2  # latin is half of it


def test_a_filter_decides_which_images_may_answer(cdml, site):
    image, workspace = sorted(site.latin.rglob("*.png"))[0], ("-w", site.workspace)

    def found(where, k="5"):
        run = cdml("query", image, "-k", k, "--where", where, *workspace, "--json")
        return json.loads(run.out)["queries"][0]["neighbours"]

    assert {one["task"] for one in found("task = 'greek'")} == {"greek"}
    categories = sorted(path.name for path in site.greek.iterdir())[:2]
    chosen = found(f"category in ('{categories[0]}', '{categories[1]}')", "100")
    assert {one["category"] for one in chosen} == set(categories)
    assert found("category = 'nothing has this name'") == []
    refused = cdml("query", image, "--where", "category = owl", *workspace)
    assert refused.code == 2
    assert "expected a text in quotes, at 'owl'" in refused.error_lines[0]


def test_a_name_given_to_a_task_is_the_one_that_is_shown(cdml, site, arrows):
    cdml("-w", site.workspace, "ingest-task", arrows, *TINY_TASK, "--name", "signs")

    assert "signs" in cdml("-w", site.workspace, "tasks").out


def test_a_dry_run_counts_and_changes_nothing(cdml, site, arrows):
    before = cdml("-w", site.workspace, "status", "--json").out
    (arrows / "upwards-arrow" / "note.jpg").write_text("no picture")

    run = cdml("-w", site.workspace, "ingest-task", arrows, "--dry-run", "--json")

    plan = json.loads(run.out)
    assert run.code == 3
    assert plan["dry_run"] is True
    assert [category["state"] for category in plan["task"]["categories"]] == ["new"] * 3
    assert sum(c["train_images"] for c in plan["task"]["categories"]) == plan["task"]["train_images"]
    assert plan["task"]["train_images"] + plan["task"]["query_images"] == 18
    assert len(plan["task"]["quarantined"]) == 1
    assert plan["estimate"]["steps"] == 3
    assert plan["estimate"]["seconds"] > 0
    assert plan["estimate"]["disk_bytes"] > 100_000
    assert plan["estimate"]["total_seconds"] >= plan["estimate"]["seconds"]
    assert plan["estimate"]["stages"]["learn"] > 0
    assert plan["estimate"]["growth_bytes"] < plan["estimate"]["disk_bytes"]  # the generation before goes
    assert plan["estimate"]["peak_memory_bytes"] > 10_000_000
    after = json.loads(cdml("-w", site.workspace, "status", "--json").out)
    assert {**after, "bytes_on_disk": 0} == {**json.loads(before), "bytes_on_disk": 0}


def test_no_pixel_cache_is_left_in_the_workspace(cdml, site, arrows):
    before = {path.name for path in site.workspace.iterdir()}

    assert cdml("-w", site.workspace, "ingest-task", arrows, *TINY_TASK).code == 0

    assert {path.name for path in site.workspace.iterdir()} - before <= {"catalog.db-wal", "catalog.db-shm"}
