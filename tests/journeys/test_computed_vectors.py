"""A workspace whose gallery was carried forward without writing a vector, through the command line."""

from __future__ import annotations

import json

import pytest

from continual_dml.memory.feature_views import FeatureView
from continual_dml.records import Deletion, PartCount
from continual_dml.settings import Settings
from continual_dml.strategies.carrying import Carrying
from continual_dml.workflows.drafting import drafting
from continual_dml.workflows.gallery_files import stored_parts, vectors_file, write_views
from continual_dml.workflows.state_files import stored_state
from storage.index.flat_view import FILE_NAME
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.workspace import Workspace
from tests.journeys.test_going_back import TINY_TASK
from tests.journeys.test_repairing import ask, damage, live_file


def carry_over(workspace):
    """Publish the live generation again, its vectors computed by the maps and the head that made them."""
    with WorkspaceStore(workspace) as store:
        parent = store.open_generation(store.head())
        carrying = Carrying(stored_state(parent, cohort=1), Settings.from_dict(parent.config["settings"]))
        ((member, _),) = carrying.members
        parts = list(stored_parts(parent, parent.read_json("report.json")))
        births = [part.birth_generation for part in parts]
        with drafting(store, "views") as draft:
            left_out = {*parent.index_files, *map(vectors_file, births), "report.json"}
            for name in parent.names():
                if name not in left_out:
                    draft.inherit(name)
            write_views(draft, {birth: FeatureView.of(member.map_of(birth)) for birth in births})
            draft.write_json(
                "report.json", {**parent.read_json("report.json"), "generation": draft.generation_id}
            )
            counts = [PartCount(part.birth_generation, part.state, len(part.ids)) for part in parts]
            return draft.publish_deletion(Deletion((), counts, purged=False), parent.config)


@pytest.fixture
def here(site):
    return ("-w", site.workspace)


@pytest.fixture
def viewed(site):
    """A workspace of two tasks whose third generation computes its vectors."""
    workspace = Workspace.open(site.workspace)
    assert carry_over(workspace).generation_id == 3
    return workspace


def states(cdml, here):
    gallery = json.loads(cdml("status", *here, "--json").out)["gallery"]
    return {name: gallery[name] for name in ("fresh", "projected", "stale")}


def test_answers_are_those_of_the_vectors_and_everything_goes_on(cdml, site, here, arrows):
    before = ask(cdml, site, here)
    carry_over(Workspace.open(site.workspace))
    after = ask(cdml, site, here)
    for one, other in zip(before, after, strict=True):
        for old, new in zip(one["neighbours"], other["neighbours"], strict=True):
            assert old["item_id"] == new["item_id"]
            assert old["score"] == pytest.approx(new["score"], abs=1e-5)
    status = json.loads(cdml("status", *here, "--json").out)
    assert status["index"]["kind"] == "flat-view"
    assert "flat-view" in cdml("status", *here).out
    image = next(iter(sorted(site.latin.rglob("*.png"))))
    filtered = cdml("query", image, *here, "--where", "task = 'greek'", "--json", "-k", "3")
    assert len(json.loads(filtered.out)["queries"][0]["neighbours"]) == 3
    assert cdml("verify", "--deep", *here).code == 0
    assert cdml("ingest-task", arrows, *here, *TINY_TASK, "--refresh", "project").code == 0
    assert cdml("verify", "--deep", *here).code == 0


def test_vectors_that_are_left_alone_are_written_as_they_were_computed(cdml, site, here, viewed, arrows):
    with WorkspaceReader(viewed) as reader:
        parts = stored_parts(reader.artefacts, reader.artefacts.read_json("report.json"))
        computed = {part.birth_generation: part.vectors for part in parts}
    assert cdml("ingest-task", arrows, *here, *TINY_TASK, "--refresh", "keep").code == 0
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
