"""Images that should not be found any more are taken out, through the command line alone."""

from __future__ import annotations

import json

import pytest

from tests.journeys.test_going_back import TINY_TASK


@pytest.fixture
def here(site):
    return ("-w", site.workspace)


def best(cdml, here, image):
    """The most similar image to ``image``."""
    answer = json.loads(cdml("query", image, *here, "--json", "-k", "1").out)
    return answer["queries"][0]["neighbours"][0]


def counts(cdml, here):
    status = json.loads(cdml("status", *here, "--json").out)
    return status["gallery"]["catalogued"], status["queries"]["catalogued"]


def test_an_image_found_by_a_query_is_deleted_by_its_number(cdml, site, here):
    image = next(iter(sorted(site.latin.rglob("*.png"))))
    found = best(cdml, here, image)
    before = counts(cdml, here)

    done = cdml("delete", str(found["item_id"]), *here, "--yes")

    assert done.code == 0
    assert done.out == f"1 gallery image of {found['category']} (1) deleted; generation 3 is live\n"
    assert best(cdml, here, image)["item_id"] != found["item_id"]
    assert counts(cdml, here) == (before[0] - 1, before[1])
    assert image.exists()
    assert cdml("verify", "--deep", *here).code == 0
    log = cdml("generations", *here).out.splitlines()
    assert "1 image deleted" in log[3]


def test_a_category_goes_with_its_queries_and_what_is_learned_next_does_without_it(cdml, site, here, arrows):
    categories = {task["name"]: task["categories"] for task in tasks(cdml, here)}
    name = sorted(path.name for path in site.greek.iterdir())[0]

    document = json.loads(cdml("delete", "--category", name, *here, "--yes", "--json").out)

    assert document["categories"] == {name: 8}
    assert (document["gallery_images"], document["query_images"]) == (6, 2)
    assert {task["name"]: task["categories"] for task in tasks(cdml, here)} == categories | {"greek": 3}
    report = cdml("report", *here).out
    assert "6 gallery and 2 query images were deleted since this was measured" in report
    status = cdml("status", *here).out
    assert "what was learned from them stays, in weights and in statistics of 1 category" in status

    assert cdml("ingest-task", arrows, *here, *TINY_TASK).code == 0

    assert "deleted since" not in cdml("report", *here).out
    assert cdml("verify", "--deep", *here).code == 0
    for image in sorted((site.greek / name).iterdir()):
        answer = json.loads(cdml("query", image, *here, "--json", "-k", "30").out)["queries"][0]
        assert name not in {hit["category"] for hit in answer["neighbours"]}


def tasks(cdml, here):
    return json.loads(cdml("tasks", *here, "--json").out)["tasks"]


def test_what_was_deleted_can_be_learned_again(cdml, site, here):
    name = sorted(path.name for path in site.greek.iterdir())[0]
    before = counts(cdml, here)
    cdml("delete", "--category", name, *here, "--yes", "-q")
    again = cdml("ingest-task", site.greek, "--name", "greek again", *here, *TINY_TASK, "--json")
    assert json.loads(again.out)["task"]["train_images"] == 6
    assert counts(cdml, here) == before
    assert cdml("verify", "--deep", *here).code == 0


def test_a_purge_leaves_no_trace_of_a_path_in_any_file(cdml, site, here):
    chosen = sorted(site.latin.rglob("*.png"))[0]
    found = best(cdml, here, chosen)
    path = found["path"].encode()

    def traces():
        return [one for one in site.workspace.rglob("*") if one.is_file() and path in one.read_bytes()]

    assert traces()
    document = json.loads(cdml("delete", str(found["item_id"]), "--purge", "--yes", *here, "--json").out)
    assert (document["purged"], document["held"]) == (True, 0)
    assert traces() == []


def test_a_purge_says_which_tag_keeps_the_image(cdml, site, here):
    cdml("tag", "good", *here)
    done = cdml("delete", "1", "--purge", "--yes", *here)
    assert done.code == 1
    (line,) = done.error_lines
    assert "the tag 'good' keeps a generation with these images: nothing was deleted" in line
    assert cdml("tag", "--delete", "good", *here).code == 0
    assert cdml("delete", "1", "--purge", "--yes", *here).code == 0


def test_what_would_be_deleted_is_shown_without_deleting_it(cdml, here):
    before = counts(cdml, here)
    shown = cdml("delete", "--where", "task = 'latin'", "--dry-run", *here)
    latin = tasks(cdml, here)[0]
    images = f"{latin['train_images']} gallery images and {latin['query_images']} query images"
    assert shown.out.startswith(f"{images} of latin-capital-a (8), ")
    assert shown.out.endswith(" would be deleted\n")
    assert cdml("delete", "--where", "id > 10000", *here).out == "nothing to delete: no image is like that\n"
    assert counts(cdml, here) == before


def test_without_a_terminal_nothing_is_deleted_unless_it_is_said(cdml, here):
    before = counts(cdml, here)
    done = cdml("delete", "1", *here)
    assert done.code == 2
    assert "say --yes" in done.err
    assert counts(cdml, here) == before


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), 2, "say what to delete by one of"),
        (("1", "--category", "latin"), 2, "say what to delete by one of"),
        (("4711", "--yes"), 1, "there is no image 4711"),
        (("one",), 2, "'one' is not a valid int"),
        (("--category", "nothing like it", "--yes"), 2, "unknown category 'nothing like it'"),
        (("--where", "colour = 'red'", "--yes"), 2, "colour"),
    ],
)
def test_a_mistake_is_said_in_one_line_and_deletes_nothing(cdml, here, arguments, code, says):
    before = counts(cdml, here)
    done = cdml("delete", *arguments, *here)
    assert (done.code, done.out) == (code, "")
    assert says in done.err
    assert counts(cdml, here) == before


def test_a_workspace_may_lose_all_images_and_go_on(cdml, site, here, arrows):
    assert cdml("delete", "--where", "id > 0", "--yes", *here).code == 0
    assert counts(cdml, here) == (0, 0)
    image = next(iter(sorted(site.latin.rglob("*.png"))))
    assert json.loads(cdml("query", image, *here, "--json").out)["queries"][0]["neighbours"] == []
    assert cdml("query", image, *here).code == 0
    assert cdml("report", *here).code == 0
    assert cdml("ingest-task", arrows, *here, *TINY_TASK).code == 0
    assert counts(cdml, here)[0] > 0
    assert cdml("report", *here).code == 0
    assert cdml("verify", "--deep", *here).code == 0
