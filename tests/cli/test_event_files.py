"""What an ingest writes for TensorBoard can be read back: loss terms of each step, and what came of it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from cli.event_files import EventLog
from continual_dml.errors import SettingsError
from streams.glyphs import render_task


class Notes:
    """A listener that remembers what it was told."""

    def __init__(self):
        self.notes = []

    def start(self, stage, total):
        pass

    def advance(self, units=1, detail=""):
        pass

    def note(self, message):
        self.notes.append(message)


def scalars(folder):
    """Return of each run its tags, with steps and values."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = {}
    for run in sorted(folder.iterdir()):
        events = EventAccumulator(str(run))
        events.Reload()
        tags = events.Tags()["scalars"]
        found[run.name] = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags}
    return found


def test_an_ingest_writes_its_loss_terms_step_by_step_and_then_its_recall(
    learned, tmp_path, monkeypatch, capsys
):
    from cli.app import main

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["cdml", *map(str, arguments)])
        with pytest.raises(SystemExit):
            main()
        return capsys.readouterr().out

    shutil.copytree(learned, tmp_path / "workspace")
    render_task("greek", tmp_path / "greek", categories=2, samples_per_category=6, side_pixels=32)
    run("ingest-task", tmp_path / "greek", "-w", tmp_path / "workspace", "--steps", "3",
        "--tensorboard", tmp_path / "events")  # fmt: skip
    found = scalars(tmp_path / "events")
    assert found.keys() == {"measured", "task-0002"}
    steps = found["task-0002"]
    assert all([step for step, _ in values] == [0, 1, 2] for values in steps.values())
    terms = {tag: dict(values) for tag, values in steps.items()}
    for step in range(3):
        own = [values[step] for tag, values in terms.items() if tag != "loss/total"]
        assert terms["loss/total"][step] == pytest.approx(sum(own), rel=1e-5)
    measured = found["measured"]
    assert {step for values in measured.values() for step, _ in values} == {2}
    assert {"recall_at_1/0001-latin", "recall_at_1/0002-greek", "forgetting/recall_at_1"} <= measured.keys()
    shown = json.loads(run("report", "-w", tmp_path / "workspace", "--json"))
    assert measured["recall_at_1/0002-greek"] == [(2, pytest.approx(shown["recall_at_k"]["1"][-1][1]))]


def test_event_files_that_cannot_be_written_are_told_once_and_stop_nothing(tmp_path):
    (tmp_path / "events").write_text("in the way")
    notes = Notes()
    log = EventLog(tmp_path / "events", notes)
    log.step(0, 0, {"metric": 1.0})
    log.step(0, 1, {"metric": 1.0})
    log.close()
    assert len(notes.notes) == 1
    assert "no event files from here on" in notes.notes[0]


def test_a_missing_extra_is_one_line(monkeypatch):
    from cli.event_files import event_log

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with (
        pytest.raises(SettingsError, match=r"pip install 'cdml\[tensorboard\]'"),
        event_log(Path("events"), Notes()),
    ):
        pass
