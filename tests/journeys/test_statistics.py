"""What is kept of each category, its size and its age, through the command line alone."""

from __future__ import annotations

import json

import pytest

from continual_dml.memory.class_statistics import ClassStatistics
from streams.glyphs import render_task
from tests.journeys.test_cohort_journey import BATCH, TINY_INIT
from tests.journeys.test_going_back import TINY_TASK

ADDED = ("measured", "moves", "factor_directions", "factor_lengths", "factor_ranks", "factor_rests")


@pytest.fixture
def statistics(cdml, site):
    def read(*options: str) -> dict:
        done = cdml("statistics", "-w", site.workspace, "--json", *options)
        assert done.code == 0, done.err
        return json.loads(done.out)

    return read


@pytest.fixture
def more_of_a(tmp_path):
    """New images of a category that was learned, and a new category."""
    render_task("latin", tmp_path / "more", categories=2, samples_per_category=9, side_pixels=32, seed=5)
    (tmp_path / "more" / "latin-capital-b").rename(tmp_path / "more" / "b again")
    return tmp_path / "more"


def test_images_bytes_and_age_of_each_category_add_up(site, statistics):
    found = statistics()
    path = site.workspace / "gen" / "00000002" / "statistics.safetensors"
    (file,) = found["files"]
    assert (file["name"], file["size_bytes"]) == (path.name, path.stat().st_size)
    categories, totals = found["categories"], found["totals"]
    assert (found["generation"], len(categories), totals["categories"]) == (2, 8, 8)
    sizes = sorted(one["size_bytes"] for one in categories)
    assert sum(sizes) + totals["shared_bytes"] == totals["bytes"] == file["size_bytes"]
    assert totals["category_bytes"] == {"median": sizes[4], "most": sizes[-1]}
    assert totals["images"] == sum(one["images"] for one in categories)
    for one in categories:
        learned = ("latin", 1) if one["name"].startswith("latin") else ("greek", 2)
        assert (one["task"], one["generation"]) == learned
        assert (one["measured_task"], one["measured_generation"]) == learned
        assert one["drift_maps_since"] == (1 if learned[0] == "latin" else 0)
        assert one["rank"] == min(one["images"] - 1, 8)
    assert [one["drift_maps_since"] for one in categories] == [1] * 4 + [0] * 4, "the oldest first"


def test_a_category_that_gets_new_images_is_young_again_and_remembers_where_it_came_from(
    cdml, site, statistics, more_of_a
):
    (before,) = statistics("--category", "latin-capital-a")["categories"]
    assert cdml("ingest-task", more_of_a, "-w", site.workspace, *TINY_TASK).code == 0
    (after,) = statistics("--category", "latin-capital-a")["categories"]
    assert after["images"] > before["images"]
    assert (after["task"], after["generation"]) == ("latin", 1)
    assert (after["measured_task"], after["measured_generation"], after["drift_maps_since"]) == ("more", 3, 0)
    assert after["rank"] == 8
    (other,) = statistics("--category", "latin-capital-c")["categories"]
    assert (other["measured_generation"], other["drift_maps_since"]) == (1, 2)


def test_people_see_ages_the_oldest_categories_and_sizes(cdml, site):
    here = ("-w", site.workspace)
    whole = cdml("statistics", *here).out
    assert whole.startswith("generation 2: 8 categories, ")
    lines = whole.splitlines()
    assert lines[2].split() == ["drift", "maps", "since", "the", "last", "images", "categories", "images"]
    assert [line.split()[:2] for line in lines[3:5]] == [["1", "4"], ["0", "4"]]
    assert lines[7].startswith("latin-capital-")
    assert "a category, median" in whole
    assert "statistics.safetensors" in whole
    one = cdml("statistics", "--category", "greek-capital-gamma", *here).out.splitlines()
    assert len(one) == 2
    assert one[1].split()[:3] == ["greek-capital-gamma", one[1].split()[1], "greek"]
    by_name = json.loads(cdml("statistics", "--sort", "name", *here, "--json").out)["categories"]
    assert [each["name"] for each in by_name] == sorted(each["name"] for each in by_name)


def test_a_long_list_is_cut_and_says_so(cdml, tmp_path):
    here = ("-w", tmp_path / "ws")
    render_task("latin", tmp_path / "latin", categories=23, samples_per_category=3, side_pixels=32)
    cdml("init", *here, *TINY_INIT)
    assert cdml("statistics", *here).out == "no statistics yet: run `cdml ingest-task FOLDER`\n"
    empty = json.loads(cdml("statistics", *here, "--json", "--category", "owl").out)
    assert (empty["generation"], empty["categories"], empty["files"]) == (None, [], [])
    assert cdml("ingest-task", tmp_path / "latin", *here, *TINY_TASK, "--min-recall", "0").code == 0
    short, long = (cdml("statistics", *here, *options).out for options in ((), ("--all",)))
    assert "and 3 more: `--all` lists them" in short
    assert (short.count("latin-capital-"), long.count("latin-capital-")) == (20, 23)
    assert "more" not in long


def test_what_cannot_be_listed_is_said_in_one_line(cdml, site):
    here = ("-w", site.workspace)
    unknown = cdml("statistics", "--category", "latin-capital-aa", *here)
    assert unknown.code == 2
    assert "did you mean latin-capital-a" in unknown.error_lines[0]
    assert cdml("statistics", "--sort", "weight", *here).code == 2
    path = site.workspace / "gen" / "00000002" / "statistics.safetensors"
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.unlink()
    path.write_bytes(damaged)
    refused = cdml("statistics", *here)
    assert refused.code == 7
    assert "statistics.safetensors differs from what was published" in refused.error_lines[0]


def test_deleted_images_stay_in_the_statistics_and_are_named_there(cdml, site, statistics):
    (before,) = statistics("--category", "greek-capital-gamma")["categories"]
    filtered = "category = 'greek-capital-gamma'"
    assert cdml("delete", "--where", filtered, "--yes", "-q", "-w", site.workspace).code == 0
    (after,) = statistics("--category", "greek-capital-gamma")["categories"]
    assert after == {**before, "deleted_images": before["images"]}
    assert "of these deleted" in cdml("statistics", "-w", site.workspace).out


def test_members_of_a_cohort_have_a_file_each_and_are_added_up(cdml, tmp_path):
    here = ("-w", tmp_path / "ws")
    render_task("latin", tmp_path / "latin", categories=3, samples_per_category=6, side_pixels=32)
    cdml("init", *here, *TINY_INIT, "--cohort", "2")
    assert cdml("ingest-task", tmp_path / "latin", *here, *TINY_TASK, *BATCH).code == 0
    found = json.loads(cdml("statistics", *here, "--json").out)
    assert [file["name"] for file in found["files"]] == ["statistics.safetensors", "statistics-1.safetensors"]
    sizes = sum(one["size_bytes"] for one in found["categories"])
    assert found["totals"]["bytes"] == sizes + found["totals"]["shared_bytes"]


def test_without_directions_of_their_own_categories_are_smaller(cdml, site, statistics, arrows):
    before = statistics()["totals"]["category_bytes"]["median"]
    rank = ("--set", "training.class_rank=0")
    assert cdml("ingest-task", arrows, "-w", site.workspace, *TINY_TASK, *rank).code == 0
    found = statistics()
    assert {one["rank"] for one in found["categories"]} == {0}
    assert found["totals"]["category_bytes"]["median"] < before


def test_a_workspace_of_an_earlier_version_is_read_and_goes_on(
    cdml, site, statistics, arrows, more_of_a, monkeypatch
):
    now = ClassStatistics.to_arrays

    def as_before(self):
        return {name: array for name, array in now(self).items() if name not in ADDED}

    with monkeypatch.context() as earlier:
        earlier.setattr(ClassStatistics, "to_arrays", as_before)
        assert cdml("ingest-task", arrows, "-w", site.workspace, *TINY_TASK).code == 0
    found = statistics()["categories"]
    assert {one["rank"] for one in found} == {0}
    assert sorted({(one["generation"], one["drift_maps_since"]) for one in found}) == [(1, 2), (2, 1), (3, 0)]
    assert cdml("ingest-task", more_of_a, "-w", site.workspace, *TINY_TASK).code == 0
    ranks = {one["name"]: one["rank"] for one in statistics()["categories"]}
    assert (ranks["latin-capital-b"], ranks["latin-capital-a"] > 0, ranks["b again"] > 0) == (0, True, True)
