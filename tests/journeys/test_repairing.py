"""Damage that can be undone from what is still whole, through the command line alone."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.journeys.test_going_back import TINY_TASK


@pytest.fixture
def here(site):
    return ("-w", site.workspace)


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()  # other generations may share the file
    path.write_bytes(bytes(content))


def live_file(site, name):
    (found,) = (site.workspace / "gen").glob(f"*/{name}")
    return found


def ask(cdml, site, here):
    image = next(iter(sorted(site.latin.rglob("*.png"))))
    return json.loads(cdml("query", image, *here, "--json").out)["queries"]


@pytest.mark.parametrize("harm", [damage, lambda path: path.unlink()], ids=["damaged", "missing"])
def test_a_bad_index_is_built_again_from_its_vectors(cdml, site, here, arrows, harm):
    before, report = ask(cdml, site, here), json.loads(cdml("report", *here, "--json").out)
    harm(live_file(site, "index.safetensors"))
    broken = cdml("query", next(iter(sorted(site.latin.rglob("*.png")))), *here)
    assert broken.code == 7
    assert "cdml verify --repair" in broken.err

    done = cdml("verify", "--deep", "--repair", *here)

    assert done.code == 0
    assert (
        "repaired: the index of generation 2 built again from its vectors; generation 3 is live" in done.err
    )
    assert ask(cdml, site, here) == before
    assert json.loads(cdml("report", *here, "--json").out) == {**report, "generation": 3}
    assert cdml("ingest-task", arrows, *here, *TINY_TASK).code == 0


def test_copies_of_query_images_are_made_again_from_files_that_are_as_they_were(cdml, site, here):
    copies = sorted(path for path in (site.workspace / "queries").rglob("*") if path.is_file())
    sources = {
        hashlib.sha256(path.read_bytes()).hexdigest(): path
        for folder in (site.latin, site.greek)
        for path in folder.rglob("*.png")
    }
    damage(copies[0])
    copies[1].unlink()
    damage(copies[2])
    sources[copies[2].name].unlink()

    done = cdml("verify", "--deep", "--repair", *here)

    assert done.code == 7, "one of them has no source any more"
    assert done.err.count("copied again") == 2
    (line,) = done.error_lines
    assert copies[2].name in line


def test_what_cannot_be_made_again_is_left_as_it_is_and_said(cdml, site, here):
    damage(live_file(site, "index.safetensors"))
    damage(live_file(site, "vectors-00000002.safetensors"))
    done = cdml("verify", "--repair", *here)
    assert done.code == 7
    assert "the index cannot be built again" in done.err
    assert len(done.error_lines) == 2
    assert json.loads(cdml("status", *here, "--json").out)["generation"] == 2


@pytest.mark.parametrize("harm", [damage, lambda path: path.unlink()], ids=["damaged", "missing"])
def test_a_lost_catalogue_is_built_again_and_everything_is_as_it_was(cdml, site, here, arrows, harm):
    before = [cdml(name, *here, "--json").out for name in ("report", "tasks", "generations")]
    answer = ask(cdml, site, here)
    for path in site.workspace.glob("catalog.db-*"):
        path.unlink()
    catalogue = site.workspace / "catalog.db"
    catalogue.write_bytes(catalogue.read_bytes()[: 1 << 14])  # a part of it is gone
    harm(catalogue)
    for command in (
        ("query", next(iter(sorted(site.latin.rglob("*.png"))))),
        ("ingest-task", arrows),
        ("status",),
    ):
        failed = cdml(*command, *here)
        assert failed.code == 1
        assert "cdml verify --repair" in failed.error_lines[0]

    done = cdml("verify", "--deep", "--repair", *here)

    assert done.code == 0, done.err
    assert "generation 2 is live" in done.err
    assert [cdml(name, *here, "--json").out for name in ("report", "tasks", "generations")] == before
    assert ask(cdml, site, here) == answer
    assert cdml("ingest-task", arrows, *here, *TINY_TASK).code == 0


def test_a_whole_workspace_is_left_as_it_is(cdml, here):
    done = cdml("verify", "--repair", "-q", *here)
    assert (done.code, done.err) == (0, "")
    assert json.loads(cdml("status", *here, "--json").out)["generation"] == 2
