"""Ctrl-C in the middle of training or embedding: one line, code 130, nothing published."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import cli
from continual_dml.embedding import kept_chunks
from storage import checkpoint, embedded_shards
from storage.checkpoint import WorkspaceCheckpoint
from streams.image_reader import ThreadedImageReader

ROOT = Path(cli.__file__).parent.parent
LONG = ("--steps", "100000", "--device", "cpu")


def test_an_interrupt_publishes_nothing_and_frees_the_workspace(cdml, site, arrows):
    command = [sys.executable, "-m", "cli.app", "ingest-task", arrows, *LONG, "-w", site.workspace]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        while not (line := process.stderr.readline()).startswith("training on"):
            assert line, "the process ended before it trained"
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()

    assert process.returncode == 130
    assert rest.splitlines() == ["interrupted: nothing was published"]
    assert json.loads(cdml("-w", site.workspace, "status", "--json").out)["generation"] == 2
    again = cdml("-w", site.workspace, "ingest-task", arrows, "--steps", "2", "--device", "cpu", "--json")
    assert json.loads(again.out)["recall_at_k"]["1"].keys() == {"1", "2", "3"}
    assert not list((site.workspace / "gen").glob(".staging-*"))


def test_the_same_command_goes_on_where_it_was_interrupted(cdml, site, arrows, monkeypatch, tmp_path):
    untouched = tmp_path / "untouched"
    shutil.copytree(site.workspace, untouched)
    task = ("ingest-task", arrows, "--steps", "12", "--device", "cpu", "--precision", "fp32")
    monkeypatch.setattr(checkpoint, "EVERY_SECONDS", 0.0)
    write, states = WorkspaceCheckpoint.write, []

    def write_and_stop(self, tensors):
        states.append(write(self, tensors))
        if len(states) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(WorkspaceCheckpoint, "write", write_and_stop)
    stopped = cdml("-w", site.workspace, *task)
    assert stopped.code == 130
    assert "nothing was published; the same command goes on where it was" in stopped.err
    assert cdml("-w", site.workspace, "verify", "--deep").code == 0

    other = cdml("-w", site.workspace, *task, "--seed", "1", "--dry-run")
    assert other.code == 0
    more_lenient = ("--max-forgetting", "0.9")  # decides nothing in the training
    done = cdml("-w", site.workspace, *task, *more_lenient, "--json")
    assert "goes on after 5 of 12 steps of an interrupted run" in done.err

    whole = cdml("-w", untouched, *task, "--json")
    assert json.loads(done.out)["recall_at_k"] == json.loads(whole.out)["recall_at_k"]
    models = [next(iter(root.glob("gen/*/model.safetensors"))) for root in (site.workspace, untouched)]
    assert models[0].read_bytes() == models[1].read_bytes()
    assert not (site.workspace / "interrupted-training").exists()


def test_a_restart_begins_anew(cdml, site, arrows, monkeypatch):
    task = ("ingest-task", arrows, "--steps", "6", "--device", "cpu")
    monkeypatch.setattr(checkpoint, "EVERY_SECONDS", 0.0)
    write = WorkspaceCheckpoint.write

    def write_and_stop(self, tensors):
        write(self, tensors)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(WorkspaceCheckpoint, "write", write_and_stop)
        assert cdml("-w", site.workspace, *task).code == 130
    done = cdml("-w", site.workspace, *task, "--restart")
    assert done.code == 0
    assert "goes on" not in done.err


@pytest.fixture
def stopped_while_embedding(cdml, site, arrows, monkeypatch):
    """Interrupt a task while images of earlier ones are embedded anew; return its command line."""
    monkeypatch.setattr(embedded_shards, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(kept_chunks, "CHUNK_IMAGES", 8)
    read, calls = ThreadedImageReader.read, []

    def read_and_stop(self, *arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return read(self, *arguments)

    task = ("ingest-task", arrows, "--refresh", "reembed", "--steps", "4", "--device", "cpu")
    with monkeypatch.context() as patched:
        patched.setattr(ThreadedImageReader, "read", read_and_stop)
        stopped = cdml("-w", site.workspace, *task)
    assert stopped.code == 130
    assert "nothing was published; the same command goes on where it was" in stopped.err
    assert list((site.workspace / "interrupted-embedding").iterdir())
    return task


def test_an_interrupted_embedding_goes_on_and_gives_the_same_files(
    cdml, site, stopped_while_embedding, monkeypatch, tmp_path
):
    task, untouched = stopped_while_embedding, tmp_path / "untouched"
    leave_out = shutil.ignore_patterns("interrupted-*")
    shutil.copytree(site.workspace, untouched, ignore=leave_out)
    assert cdml("-w", site.workspace, "verify", "--deep").code == 0
    backup = tmp_path / "backup.tar"
    assert cdml("-w", site.workspace, "backup", backup).code == 0
    with tarfile.open(backup) as archive:
        assert not [name for name in archive.getnames() if "interrupted" in name]
    read, asked = ThreadedImageReader.read, []

    def counted(self, paths, *others):
        asked.append(len(paths))
        return read(self, paths, *others)

    monkeypatch.setattr(ThreadedImageReader, "read", counted)
    done = cdml("-w", site.workspace, *task)
    resumed = sum(asked)
    assert done.code == 0
    assert done.err.count("of an interrupted run") >= 2, "the new images, and those of an earlier task"
    assert not (site.workspace / "interrupted-embedding").exists()

    assert cdml("-w", untouched, *task).code == 0
    assert sum(asked) - resumed == resumed + 3 * 8, "three chunks were kept"
    for name in ("model.safetensors", "statistics.safetensors", "index.safetensors"):
        files = [next(iter(root.glob(f"gen/*/{name}"))) for root in (site.workspace, untouched)]
        assert files[0].read_bytes() == files[1].read_bytes(), name


def test_a_restart_takes_nothing_over(cdml, site, stopped_while_embedding):
    done = cdml("-w", site.workspace, *stopped_while_embedding, "--restart")
    assert done.code == 0
    assert "of an interrupted run" not in done.err
    assert not (site.workspace / "interrupted-embedding").exists()


def test_a_purge_leaves_no_features_of_an_interrupted_run(cdml, site, stopped_while_embedding):
    assert cdml("-w", site.workspace, "delete", "1", "--purge", "--yes").code == 0
    assert not [path for path in site.workspace.rglob("*") if "interrupted" in path.name]
