"""A comparison through the command line: files, tables, going on, refusals, Ctrl-C."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import cli
from storage.writer_lock import WriterLock
from streams.glyphs import render_task

ROOT = Path(cli.__file__).parent.parent
TINY = ("--backbone", "conv4", "--weights", "none", "--image-side", "16", "--embedding-dim", "8")
QUICK = (*TINY, "--steps", "2", "--no-flip", "--device", "cpu", "--precision", "fp32")
BATCH = ("--batch-categories", "3", "--images-per-category", "2")


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    """Return a folder PATH/<task>/<category>/*."""
    root = tmp_path_factory.mktemp("stream")
    for name in ("latin", "greek"):
        render_task(name, root / name, categories=3, samples_per_category=6, side_pixels=18)
    return root


@pytest.fixture
def benchmark(cdml, stream, tmp_path):
    def run(*options: str | Path):
        return cdml("benchmark", stream, *QUICK, *BATCH, "-o", tmp_path / "out", *options)

    return run


def run_files(out: Path) -> dict[str, tuple[int, int]]:
    """Return inode and time of change of each finished run, which tell a file that was written again."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in (out / "runs").iterdir()}


def only_error(run, code: int) -> str:
    assert run.code == code, run.err
    assert run.out == ""
    assert len(run.error_lines) == 1
    return run.error_lines[0]


def test_a_comparison_leaves_tables_pictures_and_a_file_for_each_run(benchmark, tmp_path):
    run = benchmark("--methods", "finetune,frozen,finetune", "--seeds", "2")

    assert run.code == 0, run.err
    out = tmp_path / "out"
    assert set(run_files(out)) == {f"{m}-seed{s}.json" for m in ("finetune", "frozen") for s in (0, 1)}
    assert {path.name for path in out.iterdir()} >= {
        "summary.json",
        "runs.csv",
        "table.md",
        "recall_matrices.png",
        "recall_over_tasks.png",
        "forgetting.png",
    }
    assert run.out.rstrip() == (out / "table.md").read_text().rstrip()
    (header, *rows) = [line for line in run.out.splitlines() if line.startswith("| ")][:3]
    assert header.split(" | ")[:4] == ["| method", "head", "seeds", "R@1"]
    assert all(row.split(" | ")[2] in ("2", "---:") for row in rows)
    with (out / "runs.csv").open() as file:
        assert {row["label"] for row in csv.DictReader(file)} == {"finetune", "frozen"}
    assert not list(out.rglob("*.part"))


def test_each_finished_run_is_told_in_one_line(benchmark):
    lines = benchmark("--methods", "finetune", "--seeds", "1").err.splitlines()

    (told,) = [line for line in lines if line.startswith("note: finetune, seed 0: R@1 ")]
    assert ", forgetting " in told
    assert told.endswith(" s")


def test_a_second_call_runs_only_what_is_missing(benchmark, tmp_path):
    assert benchmark("--methods", "frozen", "--seeds", "1").code == 0
    before = run_files(tmp_path / "out")

    run = benchmark("--methods", "frozen,finetune", "--seeds", "2")

    after = run_files(tmp_path / "out")
    assert run.code == 0, run.err
    assert "1 of 4 runs are done already" in run.err
    assert {name: after[name] for name in before} == before
    assert len(after) == 4
    again = benchmark("--methods", "frozen,finetune", "--seeds", "2", "--json", "-q")
    assert again.err == ""
    assert json.loads(again.out)["kind"] == "benchmark-summary"
    assert run_files(tmp_path / "out") == after


def test_other_settings_on_the_same_folder_are_refused_and_nothing_is_lost(benchmark, tmp_path):
    assert benchmark("--methods", "frozen", "--seeds", "1").code == 0
    before = run_files(tmp_path / "out")

    error = only_error(benchmark("--methods", "frozen", "--seeds", "1", "--set", "objective.mutual=1"), 2)

    assert "frozen-seed0.json" in error
    assert "objective.mutual (none, now 1.0)" in error
    assert run_files(tmp_path / "out") == before


def test_a_damaged_run_is_named_and_runs_again_once_it_is_deleted(benchmark, tmp_path):
    assert benchmark("--methods", "frozen", "--seeds", "1").code == 0
    path = tmp_path / "out" / "runs" / "frozen-seed0.json"
    path.write_bytes(path.read_bytes()[:100])

    assert str(path) in only_error(benchmark("--methods", "frozen", "--seeds", "1"), 1)
    path.unlink()
    assert benchmark("--methods", "frozen", "--seeds", "1").code == 0


def test_validation_holds_classes_out_of_training_and_says_so(benchmark, tmp_path):
    run = benchmark("--methods", "frozen", "--seeds", "1", "--validation")

    assert run.code == 0, run.err
    document = json.loads((tmp_path / "out" / "runs" / "frozen-seed0.json").read_text())
    assert document["stream"]["validation"] is True
    assert document["stream"]["unseen_images"] > 0
    assert "not on the test set" in run.out


def test_a_cohort_is_a_variant_and_its_members_are_in_the_table(benchmark):
    run = benchmark("--methods", "mutual-distillation+model.cohort=2", "--seeds", "1", "--first-steps", "3")

    assert run.code == 0, run.err
    assert "**Cohorts**" in run.out
    assert "mean of the members" in run.out


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (("--methods", "finetun"), "did you mean finetune"),
        (("--methods", "finetune+training.los=triplet"), "did you mean loss"),
        (("--methods", "finetune", "--baseline", "frozn"), "choose one of finetune"),
        (("--methods", "finetune", "--loss", "tripplet"), "did you mean triplet"),
        (("--methods", "finetune", "--set", "objectiv.mutual=1"), "did you mean objective"),
        (("--methods", "finetune", "--batch-categories", "1"), "batch-categories is 1"),
        (("--methods", "finetune", "--sizes", "two"), "--sizes two"),
        (("--methods", "finetune+model.backbone=conv5"), "conv4"),
    ],
)
def test_a_wrong_name_ends_with_2_and_a_hint(benchmark, options, hint):
    assert hint in only_error(benchmark(*options), 2)


def test_without_a_stream_or_with_an_unknown_one_nothing_is_made(cdml, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert "--list" in only_error(cdml("benchmark"), 2)
    assert "did you mean glyphs" in only_error(cdml("benchmark", "glyhps"), 2)
    assert "--data" in only_error(cdml("benchmark", "cub-incremental"), 2)
    assert list(tmp_path.iterdir()) == []


def test_the_list_says_how_to_get_each_stream(cdml):
    plain = cdml("benchmark", "--list").out
    listed = json.loads(cdml("benchmark", "--list", "--json").out)["streams"]

    for one in listed:
        assert f"{one['name']}: {one['description']}" in plain
        assert one["protocol"]
        assert one["how_to_get"]
    needs = {one["name"]: one["needs_data"] for one in listed}
    assert (needs["glyphs"], needs["cub-zero-shot"]) == (False, True)
    assert [
        one["name"] for one in json.loads(cdml("benchmark", "grocery", "--list", "--json").out)["streams"]
    ] == ["grocery"]


def test_a_second_benchmark_on_the_same_folder_is_turned_away_at_once(benchmark, tmp_path):
    (tmp_path / "out").mkdir()

    with WriterLock(tmp_path / "out" / "LOCK"):
        assert "another cdml" in only_error(benchmark("--methods", "frozen"), 6)


def test_an_interrupt_keeps_finished_runs_and_the_same_command_goes_on(cdml, stream, tmp_path):
    arguments = ["benchmark", str(stream), *QUICK, "--methods", "frozen,finetune+training.steps=3000"]
    arguments += ["--seeds", "1", "--first-steps", "2", "-o", str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "cli.app", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        for words in ("finetune+training.steps=3000, seed 0: begins", "looking with the previous model"):
            while words not in (line := process.stderr.readline()):
                assert line, "the process ended before its second run"
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()

    assert process.returncode == 130
    kept = f"interrupted: finished runs are kept in {tmp_path / 'out'}, the same command goes on from there"
    assert rest.splitlines()[-1] == kept
    before = run_files(tmp_path / "out")
    assert list(before) == ["frozen-seed0.json"]
    assert not list((tmp_path / "out").rglob("*.part"))
    assert json.loads(cdml(*[a.replace("=3000", "=2") for a in arguments], "--json").out)["rows"]
    assert run_files(tmp_path / "out")["frozen-seed0.json"] == before["frozen-seed0.json"]


def test_the_best_test_epoch_stands_beside_the_last_one_and_is_called_optimistic(benchmark, tmp_path):
    run = benchmark(
        "--methods", "finetune", "--seeds", "1", "--validation", "--best-test-epoch", "--steps", "9"
    )

    assert run.code == 0, run.err
    document = json.loads((tmp_path / "out" / "runs" / "finetune-seed0.json").read_text())
    assert 0.0 <= document["best_test_epoch"] <= 1.0
    assert "best test epoch (optimistic)" in run.out


def test_without_unseen_categories_there_is_no_best_test_epoch(benchmark):
    line = only_error(benchmark("--methods", "finetune", "--seeds", "1", "--best-test-epoch"), 2)

    assert "has no categories that no task trains on" in line
