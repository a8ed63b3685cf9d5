"""A process that stays gives the answers that a command gives, and follows what is published."""

from __future__ import annotations

import numpy as np
import pytest

from cli.live_search import WARMED_UP, Asked, LiveSearcher, embed_together
from cli.searching import run_search
from cli.wiring import IngestRequest, open_workspace, read_query_images, run_ingest
from continual_dml.errors import WorkspaceError
from continual_dml.ports import SilentListener
from continual_dml.workflows.gallery_files import stored_parts
from storage.filters import parse_filter


def photos_of(site, count=3):
    return sorted(site.latin.rglob("*.png"))[:count]


def plainly(answer):
    return [[(hit.item.item_id, round(hit.similarity, 4)) for hit in hits] for _, hits in answer.queries]


def test_many_who_ask_at_once_get_what_each_would_get_alone(site):
    workspace, paths = open_workspace(site.workspace), photos_of(site, 5)
    chosen = parse_filter("task = 'greek'")
    wanted = [
        run_search(workspace, [path], k, "cpu", where, judged=judged)
        for path, k, where, judged in zip(
            paths, (3, 3, 5, 3, 3), (None, chosen, None, chosen, None), (True, True, True, True, False),
            strict=True,
        )
    ]  # fmt: skip
    squares = read_query_images(paths, workspace.settings)
    asked = [
        Asked(str(paths[0]), 3, squares[0]),
        Asked(str(paths[1]), 3, squares[1], where=chosen),
        Asked(str(paths[2]), 5, squares[2]),
        Asked(str(paths[3]), 3, squares[3], where=chosen),
        Asked(str(paths[4]), 3, squares[4], judged=False),
    ]
    with LiveSearcher(workspace, "cpu") as searcher:
        found = [one.answer for one in searcher.search(asked)]
    assert [plainly(one) for one in found] == [plainly(one) for one in wanted]
    assert [one.categories for one in found] == [one.categories for one in wanted]
    assert [len(one.verdicts) for one in found] == [1, 1, 1, 1, 0]
    assert found[0].no_threshold == wanted[0].no_threshold


def test_a_gallery_item_is_asked_with_by_its_stored_vector(site):
    with LiveSearcher(open_workspace(site.workspace), "cpu") as searcher, searcher.snapshot() as snapshot:
        artefacts = snapshot.reader.artefacts
        for part in stored_parts(artefacts, artefacts.read_json("report.json")):
            for row, item_id in enumerate(part.ids.tolist()):
                vector = snapshot.prepared.vector_of(item_id)
                np.testing.assert_array_equal(vector, part.vectors[row])
        assert snapshot.prepared.vector_of(int(snapshot.index.ids.max()) + 1) is None
        item_id = int(snapshot.index.ids[0])
        (found,) = searcher.search([Asked("item", 1, vector=snapshot.prepared.vector_of(item_id))])
    ((_, hits),) = found.answer.queries
    assert hits[0].item.item_id == item_id
    assert hits[0].similarity == pytest.approx(1.0, abs=1e-5)


def test_the_network_only_sees_numbers_of_images_that_it_has_seen_before(site, monkeypatch):
    workspace = open_workspace(site.workspace)
    side = workspace.settings.model.stored_side_pixels
    squares = np.random.default_rng(0).integers(0, 256, (23, side, side, 3), dtype=np.uint8)
    with LiveSearcher(workspace, "cpu", warm=True) as searcher, searcher.snapshot() as snapshot:
        model, seen = snapshot.prepared.searcher, []
        embed = type(model).embed
        monkeypatch.setattr(type(model), "embed", lambda self, p: seen.append(len(p)) or embed(self, p))
        together = embed_together(model, squares)
    assert seen == [16, 4, 2, 1]
    assert set(seen) <= set(WARMED_UP)
    np.testing.assert_allclose(together, embed(model, squares), atol=1e-5)


def test_a_task_that_is_published_meanwhile_answers_from_the_next_refresh_on(site, arrows):
    workspace = open_workspace(site.workspace)
    path = next(arrows.rglob("*.png"))
    square = read_query_images([path], workspace.settings)[0]
    with LiveSearcher(workspace, "cpu") as searcher:
        before = searcher.search([Asked("arrow", 30, square)])[0].answer
        run_ingest(IngestRequest(arrows, None, workspace.settings, "auto"), workspace, SilentListener())
        assert searcher.search([Asked("arrow", 30, square)])[0].answer.generation == before.generation
        assert searcher.refresh()
        after = searcher.search([Asked("arrow", 30, square)])[0].answer
    assert after.generation == before.generation + 1
    assert "arrows" not in {hit.item.task for hit in before.queries[0][1]}
    assert "arrows" in {hit.item.task for hit in after.queries[0][1]}


def test_a_searcher_that_is_not_open_says_so(site):
    with pytest.raises(WorkspaceError, match="open it with a `with` statement"):
        LiveSearcher(open_workspace(site.workspace), "cpu").search([])
