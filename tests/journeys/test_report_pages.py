"""The page that each generation is published with, through the command line alone."""

from __future__ import annotations

import base64
import csv
import io
import json
import re

import pytest

from cli.render.report_page import painter
from cli.render.report_page.thumbnails import thumbnails
from continual_dml.report_pages import Picture, pictured_items
from continual_dml.settings import StreamSettings
from storage.report_content import read_report_content
from storage.summary import read_report_page
from storage.workspace import Workspace
from tests.journeys.test_going_back import TINY_TASK

TOLD = tuple(option for option in TINY_TASK if option != "-q")


@pytest.fixture
def here(site):
    return ("-w", site.workspace)


def live_folder(site):
    return max(path for path in (site.workspace / "gen").iterdir() if path.name.isdigit())


def page_of(site):
    return (live_folder(site) / "report.html").read_text()


def pictures_in(page):
    return set(re.findall(r"data:image/jpeg;base64,[^\"]+", page))


def test_a_generation_is_published_with_its_page_and_verify_watches_over_it(cdml, site, here):
    page = page_of(site)
    assert "Report of generation 2" in page
    assert len(pictures_in(page)) > 10
    assert "file is gone" not in page
    assert "gate" in page
    assert read_report_page(Workspace.open(site.workspace)) == page.encode()
    assert read_report_page(Workspace.open(site.workspace), "2") == page.encode()
    assert cdml("verify", *here).code == 0

    (live_folder(site) / "report.html").write_text(page.replace("Forgotten", "Forgiven!"))

    assert cdml("verify", *here).code == 7
    done = cdml("report", "--format", "html", *here)
    assert (done.code, done.out) == (7, "")
    assert "report.html" in done.error_lines[0]


def test_the_formats_of_a_report(cdml, site, here, tmp_path):
    plain = cdml("report", *here).out
    assert cdml("report", "--format", "table", *here).out == plain
    document = json.loads(cdml("report", "--format", "json", *here).out)
    assert document == json.loads(cdml("report", "--json", *here).out)
    details = document["details"]
    assert {one["name"] for one in details["categories"]} == {
        path.name for folder in (site.latin, site.greek) for path in folder.iterdir()
    }
    assert sum(one["queries"] for one in details["categories"]) == sum(
        one["measured"] for one in document["queries"].values()
    )
    assert "map" not in details
    rows = list(csv.DictReader(io.StringIO(cdml("report", "--format", "csv", *here).out)))
    assert {row["metric"] for row in rows} >= {"recall", "r_precision", "map_at_r", "queries"}
    assert cdml("report", "--format", "markdown", *here).out.startswith("# Report of generation 2\n")
    assert cdml("report", "--format", "html", *here).out == page_of(site)

    for name, says in (
        ("r.html", "<!doctype html>"),
        ("r.csv", "metric,"),
        ("r.md", "# Report"),
        ("r.txt", "gen"),
    ):
        done = cdml("report", "-o", tmp_path / name, *here)
        assert (done.code, done.out) == (0, "")
        assert done.err == f"wrote {tmp_path / name}\n"
        assert (tmp_path / name).read_text().startswith(says)
    assert (tmp_path / "r.txt").read_text() == plain
    assert cdml("report", "-o", tmp_path / "j", "--json", *here).code == 0
    assert json.loads((tmp_path / "j").read_text()) == document


def test_a_purge_leaves_no_picture_of_what_is_gone(cdml, site, here):
    content = read_report_content(Workspace.open(site.workspace))
    details = content.details
    assert details is not None
    query = details["samples"][0]
    gone = [query["item"], query["neighbours"][0]["item"], details["samples"][1]["neighbours"][0]["item"]]
    small = thumbnails({number: content.pictures[number] for number in gone}, StreamSettings())
    assert all(one in page_of(site) for one in small.values())

    done = cdml("delete", *map(str, gone), "--purge", "--yes", *here, "--json")

    assert json.loads(done.out)["held"] == 0
    page = page_of(site)
    assert "deleted since this was measured" in page
    assert len(pictures_in(page)) > 10
    for path in (one for one in site.workspace.rglob("*") if one.is_file()):
        stored = path.read_bytes()
        for number, address in small.items():
            assert address.encode() not in stored
            assert base64.b64decode(address.partition(",")[2]) not in stored
            assert content.pictures[number].path.encode() not in stored
    left = json.loads((live_folder(site) / "report-details.json").read_text())
    assert not set(gone) & {*left["map"]["items"], *pictured_items(left)}
    assert cdml("verify", "--deep", *here).code == 0


def test_every_kind_of_publication_has_a_page_of_its_own(cdml, site, here, arrows):
    assert cdml("delete", "1", "--yes", *here).code == 0
    assert "Report of generation 3" in page_of(site)
    assert "1 gallery image and 0 query images were deleted since this was measured" in page_of(site)
    assert "as measured in generation 2" in page_of(site)

    assert cdml("add", arrows, *here).code == 0
    assert "Report of generation 4" in page_of(site)
    assert "18 images were added since this was measured, with 3 categories new among them" in page_of(site)

    settings = site.workspace / "cdml.toml"
    settings.write_text(settings.read_text().replace('index = "flat"', 'index = "hnsw"'))
    assert cdml("compact", *here).code == 0
    assert "Report of generation 5" in page_of(site)
    assert cdml("verify", "--deep", *here).code == 0


def test_the_page_of_an_empty_gallery_says_so(cdml, site, here):
    done = cdml("delete", "--where", "id > 0", "--yes", *here)
    assert (done.code, done.err) == (0, "")
    page = page_of(site)
    assert pictures_in(page) == set()
    for said in (
        "The gallery is empty.",
        "No held-out image is left to show.",
        "None: no held-out image has",
    ):
        assert said in page


def test_a_page_comes_back_from_a_backup_as_it_was(cdml, site, here, tmp_path):
    archive, again = tmp_path / "backup.tar", ("-w", tmp_path / "again")
    assert cdml("backup", archive, *here).code == 0
    assert cdml("restore", archive, *again).code == 0
    assert cdml("report", "--format", "html", *again).out == page_of(site)


def test_a_page_that_cannot_be_drawn_keeps_no_task_from_being_published(
    cdml, site, here, arrows, monkeypatch
):
    def broken(*arguments: object) -> None:
        raise OSError("no such font")

    with monkeypatch.context() as patched:
        patched.setattr(painter, "page_view", broken)
        done = cdml("ingest-task", arrows, *here, *TOLD)
    assert done.code == 0
    assert "the report's page could not be drawn (OSError: no such font)" in done.err
    assert not (live_folder(site) / "report.html").exists()
    assert cdml("verify", *here).code == 0

    drawn = cdml("report", "--format", "html", *here)

    assert drawn.code == 0, "drawn now, of the details that were published"
    assert "Report of generation 3" in drawn.out
    assert len(pictures_in(drawn.out)) > 10


def test_a_page_shows_a_replaced_file_as_gone(site):
    path = sorted(site.latin.rglob("*.png"))[0]
    assert thumbnails({1: Picture(str(path), "0" * 64)}, StreamSettings()) == {}
