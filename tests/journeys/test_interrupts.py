"""Ctrl-C in the middle of training: one line, code 130, nothing published."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cli
from storage import checkpoint
from storage.checkpoint import WorkspaceCheckpoint

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
    assert "nothing was published; the same command goes on where the training was" in stopped.err
    assert cdml("-w", site.workspace, "verify", "--deep").code == 0

    other = cdml("-w", site.workspace, *task, "--seed", "1", "--dry-run")
    assert other.code == 0
    done = cdml("-w", site.workspace, *task, "--json")
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
