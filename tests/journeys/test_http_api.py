"""What the HTTP API answers: the same as the command line, by numbers of items and never by paths."""

from __future__ import annotations

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from cli.searching import run_search
from cli.wiring import IngestRequest, open_workspace, run_ingest
from continual_dml.ports import SilentListener
from tests.servers import serving, until


@pytest.fixture(scope="module")
def workspace(learned_site):
    return open_workspace(learned_site.workspace)


@pytest.fixture(scope="module")
def api(learned_site):
    with serving(learned_site.workspace) as client:
        yield client


@pytest.fixture
def photo(learned_site):
    return sorted(learned_site.greek.rglob("*.png"))[5]


def test_a_search_by_image_says_what_the_command_line_says(api, workspace, photo):
    wanted = run_search(workspace, [photo], 4, "cpu")
    found = api.post("/api/v1/search", params={"k": 4}, content=photo.read_bytes()).json()
    ((_, hits),) = wanted.queries
    assert [one["id"] for one in found["neighbours"]] == [hit.item.item_id for hit in hits]
    np.testing.assert_allclose(
        [one["similarity"] for one in found["neighbours"]], [hit.similarity for hit in hits], atol=1e-5
    )
    (verdict,) = wanted.verdicts
    assert (found["generation"], found["match"], found["no_threshold"]) == (
        2,
        verdict.match,
        wanted.no_threshold,
    )
    first = found["neighbours"][0]
    assert (first["rank"], first["category"], first["task"]) == (
        1,
        hits[0].item.category,
        hits[0].item.task,
    )


def test_no_answer_holds_a_path(api, workspace, photo):
    root = str(photo.parent.parent)
    for response in (
        api.post("/api/v1/search", content=photo.read_bytes()),
        api.get("/api/v1/items"),
        api.get("/api/v1/items/1"),
        api.get("/api/v1/tasks"),
        api.get("/api/v1/status"),
        api.get("/api/v1/generations"),
    ):
        assert response.status_code == 200
        assert root not in response.text
        assert str(workspace.root) not in response.text


@pytest.mark.parametrize(
    "parameters",
    [
        {"task": "latin"},
        {"where": "task = 'latin'"},
        {"task": ["latin", "nothing"]},
        {"where": "not task = 'greek'"},
    ],
)
def test_filters_say_which_items_may_answer(api, photo, parameters):
    found = api.post("/api/v1/search", params={"k": 50, **parameters}, content=photo.read_bytes()).json()
    assert {one["task"] for one in found["neighbours"]} == {"latin"}


def test_filters_of_one_kind_are_alternatives_and_of_different_kinds_all_hold(api, photo):
    names = [one["name"] for one in api.get("/api/v1/categories").json()["categories"]]
    latin = [name for name in names if name.startswith("latin")]
    wanted = {"k": 100, "category": [latin[0], latin[1], "greek-small-alpha"], "task": "latin"}
    found = api.post("/api/v1/search", params=wanted, content=photo.read_bytes()).json()
    assert {one["category"] for one in found["neighbours"]} == set(latin[:2])


def test_a_gallery_item_finds_itself_first_and_a_held_out_one_finds_others(api):
    gallery = api.get("/api/v1/items", params={"role": "gallery", "limit": 1}).json()["items"][0]
    found = api.get(f"/api/v1/items/{gallery['id']}/similar").json()["neighbours"]
    assert found[0]["id"] == gallery["id"]
    assert found[0]["similarity"] == pytest.approx(1.0, abs=1e-5)
    asked = api.get("/api/v1/items", params={"role": "query", "limit": 1}).json()["items"][0]
    assert asked["id"] not in {
        one["id"] for one in api.get(f"/api/v1/items/{asked['id']}/similar").json()["neighbours"]
    }


def test_a_search_for_another_generation_than_the_one_that_answers_is_refused(api, photo):
    content = photo.read_bytes()
    assert api.post("/api/v1/search", params={"generation": 2}, content=content).status_code == 200
    refused = api.post("/api/v1/search", params={"generation": 1}, content=content)
    assert (refused.status_code, refused.json()) == (409, {"error": "generation 2 answers here"})


def test_nothing_is_judged_where_that_was_not_wanted(api, photo):
    found = api.post("/api/v1/search", params={"judged": False}, content=photo.read_bytes()).json()
    assert (found["match"], found["threshold"], found["confidence"]) == (None, None, None)


def test_the_nearest_classes_are_those_of_the_statistics_that_are_kept(api, photo):
    found = api.post("/api/v1/search", content=photo.read_bytes()).json()["classes"]
    assert len(found) == 5
    assert [one["similarity"] for one in found] == sorted((one["similarity"] for one in found), reverse=True)
    assert all(one["images"] > 0 and one["moves"] in (0, 1) for one in found)


def test_an_explanation_covers_both_images_region_by_region(api, photo):
    nearest = api.post("/api/v1/search", content=photo.read_bytes()).json()["neighbours"][0]
    found = api.post("/api/v1/explain", params={"item_id": nearest["id"]}, content=photo.read_bytes()).json()
    assert found["similarity"] == pytest.approx(nearest["similarity"], abs=1e-5)
    for name in ("query_map", "item_map"):
        assert np.array(found[name]).shape == (7, 7)
        assert np.isfinite(found[name]).all()
    pair = api.get(f"/api/v1/items/{nearest['id']}/explain", params={"other": nearest["id"]}).json()
    assert pair["similarity"] == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(pair["query_map"], pair["item_map"], atol=1e-5)
    assert np.min(pair["query_map"]) >= -1e-5  # nothing can make an image more like itself


def test_pages_of_items_follow_one_another_without_a_gap_or_a_repeat(api):
    seen, after = [], 0
    while after is not None:
        page = api.get("/api/v1/items", params={"after": after, "limit": 17}).json()
        seen += [one["id"] for one in page["items"]]
        after = page["next"]
    status = api.get("/api/v1/status").json()
    roles = [api.get(f"/api/v1/items/{number}").json()["role"] for number in seen]
    assert seen == sorted(set(seen))
    assert roles.count("gallery") == status["gallery_images"]


def test_counts_of_categories_add_up_to_those_of_their_task(api):
    for task in api.get("/api/v1/tasks").json()["tasks"]:
        found = api.get("/api/v1/categories", params={"task_id": task["id"]}).json()["categories"]
        assert len(found) == task["categories"]
        assert sum(one["gallery_images"] for one in found) == task["gallery_images"]
        assert sum(one["query_images"] for one in found) == task["query_images"]
        first = api.get("/api/v1/items", params={"task_id": task["id"], "category_id": found[0]["id"]}).json()
        assert {one["category"] for one in first["items"]} == {found[0]["name"]}


def test_a_picture_is_made_anew_and_sent_once(api):
    first = api.get("/api/v1/items/1/picture", params={"side": 96})
    assert first.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(first.content)).format == "JPEG"
    again = api.get(
        "/api/v1/items/1/picture", params={"side": 96}, headers={"if-none-match": first.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    assert api.get("/api/v1/items/1/picture", params={"side": 97}).status_code == 400


def test_a_picture_that_is_gone_is_not_shown_and_its_item_still_found(site, arrows):
    workspace = open_workspace(site.workspace)
    run_ingest(IngestRequest(arrows, None, workspace.settings, "auto"), workspace, SilentListener())
    shutil.rmtree(arrows)
    with serving(site.workspace) as api:
        task = api.get("/api/v1/tasks").json()["tasks"][-1]
        wanted = {"task_id": task["id"], "role": "gallery"}
        item = api.get("/api/v1/items", params=wanted).json()["items"][0]
        gone = api.get(f"/api/v1/items/{item['id']}/picture")
        found = api.get(f"/api/v1/items/{item['id']}/similar").json()
        explained = api.get(f"/api/v1/items/{item['id']}/explain", params={"other": 1}).json()
    assert (gone.status_code, gone.json()["error"]) == (
        410,
        f"the file of item {item['id']} is gone, or holds something else by now",
    )
    assert found["neighbours"][0]["id"] == item["id"]
    assert explained["query_map"] is None
    assert explained["item_map"] is not None


def test_whoever_wants_the_page_gets_it_with_a_policy_that_lets_nothing_in(api):
    page = api.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    for name in ("app.js", "browse.js", "dom.js", "search.js", "why.js", "style.css", "icon.svg"):
        assert api.get(f"/static/{name}").status_code == 200
    assert "http://" not in page.text
    assert "https://" not in page.text


def test_every_route_is_described(api):
    described = api.get("/openapi.json").json()
    operations = [one for path in described["paths"].values() for one in path.values()]
    assert len(operations) >= 14
    assert all(one.get("summary") and one.get("description") for one in operations)


def test_what_is_counted_can_be_read_by_prometheus(api, photo):
    api.post("/api/v1/search", content=photo.read_bytes())
    api.get("/no/such/thing")
    text = api.get("/metrics").text
    assert "cdml_generation 2.0" in text
    assert 'cdml_requests_total{route="/api/v1/search",status="200"}' in text
    assert 'cdml_requests_total{route="other",status="404"}' in text
    assert "cdml_search_queries_bucket" in text


def test_reports_are_answered_for_generations_that_are_kept(api):
    generations = api.get("/api/v1/generations").json()["generations"]
    assert [(one["id"], one["state"]) for one in generations] == [(2, "live"), (1, "earlier")]
    assert api.get("/api/v1/generations/2/report").json()["generation"] == 2
    gone = api.get("/api/v1/generations/1/report")
    assert (gone.status_code, "not kept any more" in gone.json()["error"]) == (503, True)
    assert api.get("/api/v1/generations/99/report").status_code == 400


def test_a_new_generation_answers_while_the_server_runs(site, arrows):
    workspace = open_workspace(site.workspace)
    with serving(site.workspace) as api:
        assert api.get("/healthz").json() == {"status": "ok", "generation": 2, "problem": None}
        run_ingest(IngestRequest(arrows, None, workspace.settings, "auto"), workspace, SilentListener())
        until(lambda: api.get("/healthz").json()["generation"] == 3)
        assert [one["name"] for one in api.get("/api/v1/tasks").json()["tasks"]] == [
            "latin",
            "greek",
            "arrows",
        ]


def test_a_newer_generation_that_cannot_be_loaded_makes_the_server_degraded_and_not_dumb(
    site, arrows, photo, monkeypatch
):
    def fails(*arguments):
        raise MemoryError("no room")

    workspace = open_workspace(site.workspace)
    with serving(site.workspace) as server:
        monkeypatch.setattr("storage.live_reader.run_self_test", fails)
        run_ingest(IngestRequest(arrows, None, workspace.settings, "auto"), workspace, SilentListener())
        problem = "unexpected MemoryError: no room"
        until(
            lambda: (
                server.get("/healthz").json() == {"status": "degraded", "generation": 2, "problem": problem}
            )
        )
        assert server.post("/api/v1/search", content=photo.read_bytes()).json()["generation"] == 2
        assert "cdml_generation_problem 1.0" in server.get("/metrics").text
        monkeypatch.undo()
        until(lambda: server.get("/healthz").json() == {"status": "ok", "generation": 3, "problem": None})
