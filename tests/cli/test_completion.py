"""What a shell completes, through the protocol that the shells speak."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cli
from storage.statements import open_statements
from storage.store import WorkspaceStore
from storage.summary import read_tasks
from storage.workspace import Workspace

ROOT = Path(cli.__file__).parent.parent


@pytest.fixture(scope="module")
def tagged(learned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the learned workspace with a tag."""
    copy = tmp_path_factory.mktemp("tagged") / "workspace"
    shutil.copytree(learned, copy)
    with WorkspaceStore(Workspace.open(copy)) as store:
        store.tag("spring", 1)
    return copy


def completed(workspace: Path, *words: str, **variables: str) -> list[str]:
    """Return what ``cdml`` offers for the last of these words."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CDML_")}
    line = ["cdml", *words]
    asked = {
        "_CDML_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(line),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "from cli.app import main; main()"],
        env={**clean, "PYTHONPATH": str(ROOT), "CDML_WORKSPACE": str(workspace), **asked, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    told = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert told == []
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not {"torch", "faiss", "sqlalchemy", "pydantic"} & imported
    assert words[0] == "benchmark" or "numpy" not in imported
    return [name for name in done.stdout.splitlines() if name]


@pytest.mark.parametrize(
    "words", [("rollback",), ("promote",), ("tag", "summer"), ("report", "--generation")]
)
def test_generations_are_completed_by_number_and_by_tag(tagged, words):
    assert completed(tagged, *words, "''") == ["spring", "1"]


def test_only_what_begins_like_the_word_is_offered(tagged):
    assert completed(tagged, "rollback", "sp") == ["spring"]
    assert completed(tagged, "tag", "--delete", "s") == ["spring"]
    assert completed(tagged, "rollback", "x") == []


@pytest.mark.parametrize("command", ["delete", "statistics", "add"])
def test_categories_are_completed_from_the_live_workspace(tagged, command):
    with open_statements(Workspace.open(tagged)) as run:
        names = sorted(name for (name,) in run("SELECT name FROM category", {}))

    found = completed(tagged, command, "--category", "''")

    assert [shlex.split(name)[0] for name in found] == names


def test_tasks_are_completed_and_the_workspace_may_stand_in_the_line(tagged, tmp_path):
    assert [one.name for one in read_tasks(Workspace.open(tagged))] == ["latin"]
    assert completed(tmp_path, "-w", str(tagged), "ingest-task", "--name", "l") == ["latin"]
    assert completed(tmp_path, "add", "-w", str(tagged), "--name", "l") == ["latin"]


def test_names_with_spaces_are_quoted_for_bash_and_left_to_the_other_shells(tagged, monkeypatch):
    from cli import completion

    monkeypatch.setenv("_CDML_COMPLETE", "complete_bash")
    assert completion._starting(["red apple", "it's"], "") == ["red\\ apple", "it\\'s"]
    monkeypatch.setenv("_CDML_COMPLETE", "complete_zsh")
    assert completion._starting(["red apple"], "red") == ["red apple"]


def test_choices_are_completed(tagged):
    assert completed(tagged, "init", "--index", "flat") == ["flat", "flat-f16"]
    assert completed(tagged, "benchmark", "gl") == ["glyphs"]
    assert completed(tagged, "benchmark", "--methods", "finetune,fro") == ["finetune,frozen"]
    assert completed(tagged, "statistics", "--sort", "a") == ["age"]


def test_whatever_goes_wrong_completes_nothing_and_says_nothing(tagged, tmp_path):
    (tmp_path / "cdml.toml").write_text("broken")
    assert completed(tmp_path / "none", "rollback", "''") == []
    assert completed(tmp_path, "rollback", "''") == []
    assert completed(tagged, "rollback", "''", CDML_UNKNOWN="1") == []
