"""A workspace is lost and comes back, through the command line alone."""

from __future__ import annotations

import json
import shutil


def test_a_lost_workspace_comes_back_and_answers_as_before(cdml, site, tmp_path):
    query = sorted(site.latin.rglob("*.png"))[0]
    before = json.loads(cdml("query", query, "-w", site.workspace, "--json").out)
    made = cdml("backup", tmp_path / "b.tar", "-w", site.workspace)
    assert made.code == 0, made.err
    assert "sha256" in made.out
    shutil.rmtree(site.workspace)

    done = cdml("restore", tmp_path / "b.tar", "-w", site.workspace, "--json")

    assert done.code == 0, done.err
    assert json.loads(done.out)["generation"] == 2
    assert json.loads(cdml("query", query, "-w", site.workspace, "--json").out) == before
    assert cdml("verify", "--deep", "-w", site.workspace).code == 0


def test_what_cannot_be_restored_leaves_nothing(cdml, site, tmp_path):
    assert "exists and is no empty folder" in cdml("restore", tmp_path / "b.tar", "-w", site.workspace).err
    (tmp_path / "b.tar").write_bytes(b"no archive")
    run = cdml("restore", tmp_path / "b.tar", "-w", tmp_path / "new")
    assert (run.code, len(run.error_lines)) == (7, 1)
    assert not (tmp_path / "new").exists()
