"""A workspace whose gallery was carried forward without writing a vector, through the command line."""

from __future__ import annotations

import json
import re

import pytest

from continual_dml.workflows.gallery_files import stored_parts, vectors_file
from storage.index.flat_view import FILE_NAME
from storage.reader import WorkspaceReader
from storage.workspace import Workspace
from streams.glyphs import render_task
from tests.journeys.test_going_back import TINY_TASK
from tests.journeys.test_repairing import ask, damage, live_file

FLAT, VIEW = "flat", "flat-view"


@pytest.fixture
def here(site):
    return ("-w", site.workspace)


def write_vectors_up_to(site, items):
    """Say in the workspace's settings how large a gallery may be whose vectors are written."""
    file = site.workspace / "cdml.toml"
    changed = re.sub(r"write_vectors_up_to = \d+", f"write_vectors_up_to = {items}", file.read_text())
    assert changed != file.read_text() or items == 100_000
    file.write_text(changed)


@pytest.fixture
def viewed(cdml, site, here, arrows):
    """A workspace of three tasks whose third generation computes its vectors."""
    write_vectors_up_to(site, 0)
    done = cdml("ingest-task", arrows, *here, *TINY_TASK, "--min-recall", "0", "--refresh", "project")
    assert done.code == 0, done.err
    assert kind_of_index(cdml, here) == VIEW
    return Workspace.open(site.workspace)


def kind_of_index(cdml, here):
    return json.loads(cdml("status", *here, "--json").out)["index"]["kind"]


def states(cdml, here):
    gallery = json.loads(cdml("status", *here, "--json").out)["gallery"]
    return {name: gallery[name] for name in ("fresh", "projected", "stale")}


def test_answers_are_those_of_written_vectors(cdml, site, here, viewed):
    computed = ask(cdml, site, here)
    assert VIEW in cdml("status", *here).out
    image = next(iter(sorted(site.latin.rglob("*.png"))))
    filtered = cdml("query", image, *here, "--where", "task = 'greek'", "--json", "-k", "3")
    assert len(json.loads(filtered.out)["queries"][0]["neighbours"]) == 3
    assert cdml("verify", "--deep", *here).code == 0

    done = json.loads(cdml("compact", *here, "--json").out)
    assert (done["before"], done["now"]) == (3, 4)
    assert (done["kind_before"], done["kind_now"]) == (VIEW, FLAT)
    assert kind_of_index(cdml, here) == FLAT
    for one, other in zip(computed, ask(cdml, site, here), strict=True):
        for before, after in zip(one["neighbours"], other["neighbours"], strict=True):
            assert before["item_id"] == after["item_id"]
            assert before["score"] == pytest.approx(after["score"], abs=1e-6)
    assert "nothing to do: the index of generation 4 is flat" in cdml("compact", *here).out
    assert cdml("verify", "--deep", *here).code == 0


def test_a_large_gallery_is_refreshed_without_writing_a_vector(cdml, site, here, arrows):
    write_vectors_up_to(site, 0)
    kept = cdml("ingest-task", arrows, *here, *TINY_TASK, "--min-recall", "0", "--refresh", "keep")
    assert kept.code == 0, kept.err
    assert kind_of_index(cdml, here) == FLAT
    stale = states(cdml, here)["stale"]
    assert stale
    assert cdml("refresh", "--refresh", "project", *here).code == 0
    assert states(cdml, here)["projected"] == stale
    assert kind_of_index(cdml, here) == VIEW
    assert not list(live_file(site, FILE_NAME).parent.glob("vectors-*"))
    assert cdml("verify", "--deep", *here).code == 0


def test_a_small_gallery_keeps_its_vectors(cdml, site, here, arrows):
    done = cdml("ingest-task", arrows, *here, *TINY_TASK, "--min-recall", "0", "--refresh", "project")
    assert done.code == 0, done.err
    assert kind_of_index(cdml, here) == FLAT


def test_vectors_that_are_left_alone_are_written_as_they_were_computed(cdml, site, here, viewed, tmp_path):
    with WorkspaceReader(viewed) as reader:
        parts = stored_parts(reader.artefacts, reader.artefacts.read_json("report.json"))
        computed = {part.birth_generation: part.vectors for part in parts}
    task = tmp_path / "cyrillic"
    render_task("cyrillic", task, categories=4, samples_per_category=6, side_pixels=32)
    done = cdml("ingest-task", task, *here, *TINY_TASK, "--min-recall", "0", "--refresh", "keep")
    assert done.code == 0, done.err
    assert states(cdml, here)["stale"] == sum(map(len, computed.values()))
    with WorkspaceReader(viewed) as reader:
        for birth, vectors in computed.items():
            assert (reader.artefacts.read_tensors(vectors_file(birth))["vectors"] == vectors).all()


def test_images_are_deleted_and_the_index_repaired(cdml, site, here, viewed):
    first = ask(cdml, site, here)[0]["neighbours"][0]["item_id"]
    assert cdml("delete", str(first), *here, "--purge", "--yes").code == 0
    assert first not in [one["item_id"] for one in ask(cdml, site, here)[0]["neighbours"]]
    assert cdml("verify", "--deep", *here).code == 0
    after = ask(cdml, site, here)
    damage(live_file(site, FILE_NAME))
    assert cdml("query", next(iter(sorted(site.latin.rglob("*.png")))), *here).code == 7
    done = cdml("verify", "--deep", "--repair", *here)
    assert done.code == 0, done.err
    assert "the index of generation 4 built again" in done.err
    assert ask(cdml, site, here) == after
    damage(live_file(site, FILE_NAME))
    (one, *_) = sorted((site.workspace / "gen").glob("*/map-*"))
    damage(one)
    done = cdml("verify", "--repair", *here)
    assert done.code == 7
    assert "the index cannot be built again" in done.err


@pytest.mark.parametrize(("kind", "becomes"), [(FLAT, VIEW), ("flat-f16", "flat-f16")])
def test_images_are_added_in_the_way_that_the_workspace_wants(
    cdml, site, here, viewed, tmp_path, kind, becomes
):
    before = ask(cdml, site, here)
    file = site.workspace / "cdml.toml"
    file.write_text(file.read_text().replace(f'index = "{FLAT}"', f'index = "{kind}"'))
    render_task("cyrillic", tmp_path / "more", categories=2, samples_per_category=3, side_pixels=32)
    done = cdml("add", tmp_path / "more", *here)
    assert done.code == 0, done.err
    assert kind_of_index(cdml, here) == becomes
    written = {path.name for path in live_file(site, "report.json").parent.glob("vectors-*")}
    assert len(written) == (0 if becomes == VIEW else 3)
    (image, *_) = sorted((tmp_path / "more").rglob("*.png"))
    (found,) = json.loads(cdml("query", image, *here, "--json", "-k", "1").out)["queries"]
    assert found["neighbours"][0]["path"] == str(image)
    assert len(ask(cdml, site, here)) == len(before)
    assert cdml("verify", "--deep", *here).code == 0
