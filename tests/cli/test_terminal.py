"""What is different on a terminal: questions, bars and colours. Tested on a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import cli
from cli.render.progress import progress_listener
from cli.shell import Shell

ROOT = Path(cli.__file__).parent.parent
COLOUR = re.compile(r"\x1b\[[0-9;]*\b(3[0-8]|4[0-8]|9[0-7])[0-9;]*m")


class OnTerminal(NamedTuple):
    """How a command ended, and what was on the terminal."""

    code: int
    screen: str


def on_terminal(*arguments: str | Path, answer: str = "", **variables: str) -> OnTerminal:
    """Run ``cdml`` with stdin, stdout and stderr on a terminal, where somebody types ``answer``."""
    ours, theirs = pty.openpty()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("CDML_", "NO_COLOR"))}
    with subprocess.Popen(
        [sys.executable, "-m", "cli.app", *map(str, arguments)],
        stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True, start_new_session=True,
        env={**clean, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": "120", **variables},
    ) as child:  # fmt: skip
        os.close(theirs)
        os.write(ours, answer.encode())
        screen = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # how Linux tells that the other side is closed
                break
            if not part:
                break
            screen += part
        code = child.wait()
    os.close(ours)
    return OnTerminal(code, screen.decode())


@pytest.fixture
def own(learned, tmp_path) -> Path:
    """Return a copy of the workspace that keeps three generations."""
    copy = tmp_path / "workspace"
    shutil.copytree(learned, copy)
    file = copy / "cdml.toml"
    file.write_text(file.read_text().replace("keep_generations = 1", "keep_generations = 3"))
    return copy


def test_deleting_asks_and_no_is_no(own):
    run = on_terminal("delete", "1", "-w", own, answer="n\n")

    assert run.code == 0
    assert "Delete 1 gallery image of " in run.screen or "Delete 0 gallery images and 1 query" in run.screen
    assert "nothing was deleted" in run.screen


def test_yes_answers_before_it_is_asked(own):
    run = on_terminal("--yes", "gc", "--keep", "1", "-w", own)

    assert run.code == 0
    assert "Keep 1 instead of 3" not in run.screen
    assert "0 generations removed" in run.screen


def test_gc_asks_only_before_it_removes_more_than_the_workspace_would(own):
    asked = on_terminal("gc", "--keep", "1", "-w", own, answer="n\n")
    usual = on_terminal("gc", "-w", own)

    assert "Keep 1 instead of 3 generations, and remove the files of the others? [y/N]" in asked.screen
    assert "nothing was removed" in asked.screen
    assert "[y/N]" not in usual.screen
    assert (asked.code, usual.code) == (0, 0)


def test_without_a_terminal_nobody_is_asked(own, process):
    refused, done = process("delete", "1", "-w", own), process("gc", "--keep", "1", "-w", own)

    assert (refused.code, done.code) == (2, 0)
    assert "say --yes, or --dry-run to look first" in refused.err
    assert "0 generations removed" in done.out


def test_colours_are_for_terminals_and_not_for_those_who_want_none(own, process):
    coloured = on_terminal("verify", "-w", own).screen
    plain = on_terminal("verify", "-w", own, NO_COLOR="1").screen

    assert COLOUR.search(coloured)
    assert not COLOUR.search(plain)
    assert "1 generation" in plain
    assert "\x1b" not in process("verify", "-w", own).err


@pytest.mark.parametrize(
    ("shell", "told"),
    [
        (Shell(), ["reading (3)", "note: a note"]),
        (Shell(no_progress=True), ["note: a note"]),
        (Shell(quiet=True, verbose=True), []),
        (Shell(verbose=True), ["reading (3)", "note: a note", "note: reading took N s"]),
        (Shell(verbose=True, no_progress=True), ["note: a note", "note: reading took N s"]),
    ],
)
def test_progress_can_be_left_out_and_notes_stay(capsys, shell, told):
    with progress_listener(shell) as listener:
        listener.start("reading", 3)
        listener.advance(3)
        listener.note("a note")

    lines = capsys.readouterr().err.splitlines()
    assert [re.sub(r"\d+\.\d\d", "N", line) for line in lines] == told
