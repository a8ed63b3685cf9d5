"""The demo, made tiny: what it leaves, that it repeats, and what it refuses to remove."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from cli.demonstration import DemoSize, draw_tasks, make_demo
from cli.render.demos import show_demo, show_folders
from cli.shell import Shell
from continual_dml.errors import WorkspaceError, WorkspaceLocked
from storage.writer_lock import WriterLock

TINY = DemoSize(
    tasks=("latin", "greek"),
    categories=2,
    samples_per_category=6,
    steps=2,
    picture_side_pixels=32,
    neighbours=3,
)


def test_the_demo_leaves_images_a_workspace_and_a_picture_and_says_so(tmp_path, capsys):
    shell = Shell(quiet=True)

    demo = make_demo(shell, tmp_path / "demo", TINY)
    show_demo(shell, demo)

    out = capsys.readouterr().out
    assert shell.published == 2
    for words in (
        "Recall@1",
        "after greek",
        "average",
        "forgetting",
        "Example searches",
        "contact-sheet.png",
    ):
        assert words in out
    with Image.open(demo.sheet) as sheet:
        assert sheet.format == "PNG"
    assert len(demo.answer.queries) == 2
    assert {len(hits) for _, hits in demo.answer.queries} == {3}


def test_a_second_demo_replaces_the_first_and_gives_the_same_numbers(tmp_path, capsys):
    shell = Shell(quiet=True, as_json=True)
    documents = []
    for _ in range(2):
        show_demo(shell, make_demo(shell, tmp_path / "demo", TINY))
        documents.append(json.loads(capsys.readouterr().out))
    own = tmp_path / "demo" / "notes.txt"
    own.write_text("mine")

    show_demo(shell, make_demo(shell, tmp_path / "demo", TINY))

    assert documents[0]["recall_at_k"] == documents[1]["recall_at_k"]
    assert documents[1]["schema_version"] == 1
    assert own.read_text() == "mine"


@pytest.mark.parametrize("name", ["notes.txt", "workspace"])
def test_the_demo_refuses_a_folder_that_is_not_its_own(tmp_path, name):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / name).write_text("mine")

    with pytest.raises(WorkspaceError, match="holds other files"):
        make_demo(Shell(quiet=True), tmp_path / "photos", TINY)
    assert (tmp_path / "photos" / name).read_text() == "mine"


def test_the_demo_refuses_a_file(tmp_path):
    (tmp_path / "file").write_text("mine")

    with pytest.raises(WorkspaceError, match="is a file"):
        make_demo(Shell(quiet=True), tmp_path / "file", TINY)


def test_the_demo_does_not_remove_a_workspace_that_is_being_written(tmp_path):
    make_demo(Shell(quiet=True), tmp_path / "demo", TINY)

    with WriterLock(tmp_path / "demo" / "workspace" / "LOCK"), pytest.raises(WorkspaceLocked):
        make_demo(Shell(quiet=True), tmp_path / "demo", TINY)
    assert (tmp_path / "demo" / "workspace" / "cdml.toml").is_file()


def test_the_demo_can_draw_its_task_folders_and_no_more(tmp_path, capsys):
    folders = draw_tasks(Shell(quiet=True), tmp_path / "demo", TINY)
    show_folders(Shell(quiet=True), folders)

    assert [line.rsplit("/", 1)[1] for line in capsys.readouterr().out.splitlines()] == ["latin", "greek"]
    assert all(len(list(folder.rglob("*.png"))) == 12 for folder in folders)
    assert not (tmp_path / "demo" / "workspace").exists()
