"""Names are data: nothing in a folder runs, hangs, leaves its place, or steers the terminal."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from PIL import Image

from streams.glyphs import render_task
from tests.hostile import folders

QUICK = ("--steps", "2", "--device", "cpu", "--precision", "fp32")
ANY_LABELS = ("--min-recall", "0")  # two folders hold one character: nothing tells them apart
OWN_NAMES = re.compile(
    r"cdml\.toml|LOCK|catalog\.db(-wal|-shm)?|(gen|leases)(/\d{8})?|gen/\d{8}/[A-Za-z0-9.-]+"
    r"|queries(/[0-9a-f]{2}(/[0-9a-f]{64})?)?"
)


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A hostile folder, and the names in it that must be left out."""
    render_task("arrows", tmp_path / "drawn", categories=4, samples_per_category=8, side_pixels=32)
    pictures = sorted((tmp_path / "drawn").rglob("*.png"))
    secret = tmp_path / "outside" / "secret.png"
    secret.parent.mkdir()
    Image.new("RGB", (32, 32), (1, 2, 3)).save(secret)
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "task \x1b[32m\u202e"
    root.mkdir()
    return root, folders.build(root / "in", pictures, secret)


def clean(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


def test_a_hostile_folder_is_learned_and_no_command_lets_its_names_through(cdml, site, hostile):
    root, left_out = hostile
    before = sorted(root.rglob("*"))
    at = ("-w", site.workspace)

    run = cdml(*at, "ingest-task", root / "in", "--name", root.name, *QUICK, *ANY_LABELS, "--json")

    assert run.code == 3, run.err
    task = json.loads(run.out)["task"]
    assert {Path(row["path"]).name for row in task["quarantined"]} == set(left_out)
    assert task["categories"] == len(folders.CATEGORIES)
    assert sorted(root.rglob("*")) == before
    image = next((root / "in" / "-rf").iterdir())
    for command in (
        ("ingest-task", root / "in", "--dry-run"),
        ("ingest-task", root / "in"),
        ("tasks",),
        ("status",),
        ("report",),
        ("generations",),
        ("verify",),
        ("query", image),
        ("query", image, "--where", "task = 'x' or category = ' OR ''1''=''1'"),
        ("query", root / "in" / "plain" / "pipe.png"),
        ("delete", "--where", "id > 0", "--dry-run"),
        ("delete", "--category", "\x1b[31mred", "--dry-run"),
        ("delete", "--category", "two\nlines", "--yes"),
        ("-w", root / "in" / "no workspace", "status"),
    ):
        run = cdml(*at, *command)
        assert clean(run.out), command
        assert clean(run.err), command
        assert "Traceback" not in run.err, command
        assert "unexpected" not in run.err, command
    names = [str(path.relative_to(site.workspace)) for path in site.workspace.rglob("*")]
    assert [name for name in names if not OWN_NAMES.fullmatch(name)] == []


def test_every_category_is_found_again_by_its_very_name(cdml, site, hostile):
    root, _ = hostile
    at = ("-w", site.workspace)
    assert cdml(*at, "ingest-task", root / "in", *QUICK, *ANY_LABELS, "--json").code == 3

    for name in folders.CATEGORIES:
        quoted = "'" + name.replace("'", "''") + "'"
        run = cdml(*at, "delete", "--where", f"category = {quoted}", "--dry-run", "--json")
        assert json.loads(run.out)["categories"] == {name: 2}


@pytest.mark.parametrize("named", [True, False])
def test_bytes_that_are_no_text_are_refused_before_anything_is_learned(cdml, site, arrows, named):
    odd = arrows.with_name(folders.UNDECODABLE)
    given = (arrows, "--name", folders.UNDECODABLE) if named else (arrows.rename(odd),)

    run = cdml("-w", site.workspace, "ingest-task", *given, *QUICK)

    assert run.code in (1, 2)
    assert "not valid UTF-8" in run.error_lines[0]
    assert [path.name for path in (site.workspace / "gen").iterdir()] == ["00000002"]


def test_a_name_in_another_unicode_form_is_the_same_name(cdml, site, arrows):
    cdml("-w", site.workspace, "ingest-task", arrows, "--name", "e\u0301tude", *QUICK)

    found = cdml("-w", site.workspace, "delete", "--where", "task = '\u00e9tude'", "--dry-run", "--json")

    assert json.loads(found.out)["gallery_images"] > 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser makes devices")
def test_a_device_is_never_opened(cdml, site, arrows):
    try:
        os.mknod(arrows / "upwards-arrow" / "zero.png", 0o20666, os.makedev(1, 5))
    except OSError:
        pytest.skip("no devices can be made here")

    run = cdml("-w", site.workspace, "ingest-task", arrows, *QUICK, "--json")

    (row,) = json.loads(run.out)["task"]["quarantined"]
    assert row["reason"] == "not a regular file"


def test_the_count_of_entries_has_a_limit_that_hidden_ones_do_not_escape(cdml, site, arrows):
    for number in range(40):
        (arrows / "upwards-arrow" / f".{number}").touch()

    run = cdml("-w", site.workspace, "ingest-task", arrows, "--set", "streams.max_files=30", *QUICK)

    assert "more than 30 files" in run.error_lines[0]
