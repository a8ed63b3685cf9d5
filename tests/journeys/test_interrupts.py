"""Ctrl-C in the middle of training: one line, code 130, nothing published."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cli

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
