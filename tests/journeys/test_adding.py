"""Images that can be found without learning, through the command line alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import cli
from continual_dml.embedding import kept_chunks
from storage import embedded_shards
from storage.embedded_shards import WorkspaceShards
from tests.journeys.test_going_back import TINY_TASK

ROOT = Path(cli.__file__).parent.parent


@pytest.fixture
def here(site):
    return ("-w", site.workspace)


@pytest.fixture
def mixed(site, arrows, tmp_path):
    """A folder with new and known categories, duplicates, a near-duplicate and a file that is no image."""
    known = sorted(path.name for path in site.latin.iterdir())[0]
    (arrows / known).mkdir()
    for number, category in enumerate(sorted(path.name for path in arrows.iterdir())):
        if category != known:
            image = sorted((arrows / category).iterdir())[0]
            image.rename(arrows / known / f"new-{number}.png")
    first = sorted((site.latin / known).iterdir())[0]
    shutil.copy(first, arrows / known / "known.png")
    Image.open(first).save(arrows / known / "nearly.png", "BMP")
    shutil.copy(arrows / known / "nearly.png", arrows / known / "twin.png")
    (arrows / known / "note.jpg").write_text("no image")
    return arrows


def best(cdml, here, image):
    """The most similar image to ``image``."""
    return json.loads(cdml("query", image, *here, "--json", "-k", "1").out)["queries"][0]["neighbours"][0]


def status(cdml, here):
    return json.loads(cdml("status", *here, "--json").out)


def test_what_is_added_is_found_at_once_and_nothing_silently_left_out(cdml, site, here, mixed):
    known = sorted(path.name for path in site.latin.iterdir())[0]
    planned = cdml("add", mixed, "--dry-run", *here, "--json")
    assert planned.code == 3
    assert status(cdml, here)["generation"] == 2
    done = cdml("add", mixed, *here, "--json")
    assert done.code == 3, done.err
    document = json.loads(done.out)
    assert document["plan"] == json.loads(planned.out)["plan"]
    plan = document["plan"]
    assert plan["new_images"] == {"in_new_categories": 15, "in_known_categories": 4}
    assert plan["duplicates"] == {"in_the_folder": 1, "in_the_catalogue": 1}
    assert plan["left_out_otherwise"] == 1
    assert plan["not_compared"] == {"new": 0, "earlier": 0}
    (near,) = [one for one in plan["near_duplicates"] if one["path"].endswith("nearly.png")]
    assert near["near"] == str(sorted((site.latin / known).iterdir())[0])
    assert near["bits_apart"] == 0
    addition = document["addition"]
    assert (document["generation"], addition["name"], addition["images"]) == (3, "arrows", 19)
    reasons = {Path(row["path"]).name: row["reason"] for row in addition["quarantined"]}
    assert reasons.keys() == {"known.png", "twin.png", "note.jpg"}
    for image in mixed.rglob("new-*.png"):
        found = best(cdml, here, image)
        assert (found["path"], found["category"], found["task"]) == (str(image), known, "arrows")
    assert cdml("verify", "--deep", *here).code == 0


def test_the_result_is_told_in_words(cdml, site, here, mixed):
    planned = cdml("add", mixed, "--dry-run", *here)
    assert "nothing was changed" in planned.out
    done = cdml("add", mixed, *here)
    assert done.out.startswith("generation 3: added 'arrows' in ")
    assert "(19 images searchable, nothing learned, nothing measured)" in done.out
    for line in (
        "new, in new categories          15  3 categories",
        "new, in known categories         4  1 category",
        "duplicates in the folder         1  left out",
        "duplicates of the catalogue      1  left out",
        "left out for other reasons       1",
    ):
        assert line in planned.out
        assert line in done.out
    assert "nearly.png" in done.out
    tasks = cdml("tasks", *here).out
    assert "Added without learning" in tasks
    assert tasks.index("greek") < tasks.index("arrows")
    assert (
        "19 images were added since this was measured, with 3 categories new among them"
        in cdml("report", *here).out
    )
    assert "19 images added" in cdml("generations", *here).out
    assert "  added                    19       without learning" in cdml("status", *here).out


def test_single_images_join_a_category_known_or_new(cdml, site, here, arrows):
    images = sorted(arrows.rglob("*.png"))[:2]
    known = sorted(path.name for path in site.greek.iterdir())[0]
    done = cdml("add", *images, "--category", known, "--name", "two more", *here, "--json")
    assert done.code == 0
    document = json.loads(done.out)
    assert document["plan"]["new_images"] == {"in_new_categories": 0, "in_known_categories": 2}
    assert status(cdml, here)["categories"] == 8
    found = best(cdml, here, images[0])
    assert (found["category"], found["task"]) == (known, "two more")
    answer = json.loads(
        cdml("query", images[0], "--where", "task = 'two more'", *here, "--json", "-k", "9").out
    )
    assert len(answer["queries"][0]["neighbours"]) == 2
    again = cdml("add", *images, "--category", "something else", *here)
    assert again.code == 1
    assert "all 2 usable images" in again.error_lines[0]


def test_statistics_say_what_a_category_came_with_and_what_had_its_last_images(
    cdml, site, here, arrows, tmp_path
):
    known, old = sorted(path.name for path in site.latin.iterdir())[:2]
    first, later = sorted(path.name for path in arrows.iterdir())[:2]
    more = tmp_path / "more"
    (more / known).mkdir(parents=True)
    shutil.move(next((arrows / later).iterdir()), more / known / "one.png")
    shutil.move(arrows / first, more / first)
    assert cdml("add", more, *here, "-q").code == 0

    def origins():
        found = json.loads(cdml("statistics", *here, "--json").out)["categories"]
        return {one["name"]: (one["task"], one["measured_task"], one["drift_maps_since"]) for one in found}

    before = origins()
    assert before[first] == ("more", "more", 0)
    assert before[known] == ("latin", "more", 0)
    assert before[old] == ("latin", "latin", 1)
    assert cdml("ingest-task", arrows, *here, *TINY_TASK, "-q").code == 0
    after = origins()
    assert after[first] == ("more", "more", 1)
    assert after[known] == ("latin", "more", 1)
    assert after[later] == ("arrows", "arrows", 0)


def test_an_addition_is_undone_by_a_rollback_and_taken_out_by_a_deletion(cdml, site, here, arrows):
    image = sorted(arrows.rglob("*.png"))[0]
    before = best(cdml, here, image)
    cdml("tag", "good", *here)
    assert cdml("add", arrows, *here, "-q").code == 0
    assert cdml("rollback", "good", *here).code == 0
    assert best(cdml, here, image) == before
    assert json.loads(cdml("tasks", *here, "--json").out)["added"] == []
    assert cdml("add", arrows, *here, "-q").code == 0
    (added,) = json.loads(cdml("tasks", *here, "--json").out)["added"]
    assert (added["images"], added["categories"], added["generation"]) == (18, 3, 4)
    deleted = cdml("delete", "--category", image.parent.name, "--yes", *here, "--json")
    assert json.loads(deleted.out)["gallery_images"] == 6
    assert status(cdml, here)["added"] == 12
    assert best(cdml, here, image)["path"] != str(image)
    cdml("tag", "--delete", "good", *here)
    assert cdml("delete", "--where", "task = 'arrows'", "--purge", "--yes", *here).code == 0
    kept = b"".join(path.read_bytes() for path in site.workspace.rglob("*") if path.is_file())
    assert str(image).encode() not in kept
    assert cdml("verify", "--deep", *here).code == 0


def test_the_next_task_is_measured_with_what_was_added(cdml, site, here, arrows, tmp_path):
    more = tmp_path / "more"
    category = sorted(arrows.iterdir())[0]
    (more / "arrows").mkdir(parents=True)
    shutil.move(category, more / category.name)
    shutil.rmtree(more / "arrows")
    assert cdml("add", more, *here, "-q").code == 0
    done = cdml("ingest-task", arrows, *here, *TINY_TASK, "--refresh", "project", "--json")
    document = json.loads(done.out)
    assert done.code == 0
    assert list(document["recall_at_k"]["1"]) == ["1", "2", "4"]
    report = json.loads(cdml("report", *here, "--json").out)
    assert [task["name"] for task in report["tasks"]] == ["latin", "greek", "arrows"]
    assert report["added_images"] == 6
    assert "Added: images in the gallery that were added" in cdml("report", *here).out.replace("\n  ", " ")
    assert status(cdml, here)["tasks"] == 3
    assert [part["birth_generation"] for part in report["parts"]] == [2, 3, 4]
    image = next((more / category.name).iterdir())
    only = ("--where", f"category = '{category.name}'", "-k", "10", "--json")
    (found,) = json.loads(cdml("query", image, *here, *only).out)["queries"]
    assert len(found["neighbours"]) == 6, "all that was added is carried forward and searched"
    assert cdml("verify", "--deep", *here).code == 0


def test_before_the_first_task_there_is_nothing_to_embed_with(cdml, tmp_path, arrows):
    workspace = tmp_path / "new"
    cdml("init", "--backbone", "conv4", "--weights", "none", "--image-side", "32", "-w", workspace)
    done = cdml("add", arrows, "-w", workspace)
    assert (done.code, done.out) == (1, "")
    assert "there is no model to embed images with; run `cdml ingest-task FOLDER` first" in done.err
    assert "reading images" not in done.err, "said before images are read in vain"


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--category", "a/b"), 2, "a category is named as a folder is"),
        (("--category", "kiwi"), 1, "is a folder: with --category name images"),
        (("--device", "abacus"), 2, "unknown device 'abacus'"),
    ],
)
def test_a_mistake_is_said_in_one_line_and_adds_nothing(cdml, site, here, arrows, options, code, says):
    done = cdml("add", arrows, *options, *here)
    assert (done.code, done.out, len(done.error_lines)) == (code, "", 1)
    assert says in done.error_lines[0]
    assert status(cdml, here)["generation"] == 2


def test_an_interrupt_leaves_nothing(cdml, site, here, arrows):
    def files():
        return sorted(path for path in site.workspace.rglob("*") if not path.name.startswith("catalog.db-"))

    before = files()
    script = (
        "import cli.app, continual_dml.embedding.kept_chunks as chunks, time\n"
        "plain = chunks.extract_each\n"
        "def slow(*arguments):\n    time.sleep(60)\n    return plain(*arguments)\n"
        "chunks.extract_each = slow\ncli.app.main()"
    )
    command = [sys.executable, "-c", script, "add", arrows, *here]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        while not (line := process.stderr.readline()).startswith("embedding images"):
            assert line, "the process ended before it embedded"
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130
    assert rest.splitlines() == ["interrupted: nothing was published"]
    assert status(cdml, here)["generation"] == 2
    assert files() == before
    assert cdml("add", arrows, *here, "-q").code == 0


def test_an_interrupted_addition_goes_on_where_it_was(cdml, site, here, arrows, monkeypatch):
    monkeypatch.setattr(embedded_shards, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(kept_chunks, "CHUNK_IMAGES", 4)
    keep, kept = WorkspaceShards.keep, []

    def keep_and_stop(self, *arguments):
        kept.append(keep(self, *arguments))
        if len(kept) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(WorkspaceShards, "keep", keep_and_stop)
        stopped = cdml("add", arrows, *here)
    assert stopped.code == 130
    assert "nothing was published; the same command goes on where it was" in stopped.err
    done = cdml("add", arrows, *here)
    assert done.code == 0
    assert "takes over 12 of 18 embedded images of an interrupted run" in done.err
    assert not (site.workspace / "interrupted-embedding").exists()


def test_an_ingest_says_what_it_found_as_well(cdml, site, here, mixed):
    planned = json.loads(cdml("ingest-task", mixed, *here, "--dry-run", "--json").out)
    done = json.loads(cdml("ingest-task", mixed, *here, *TINY_TASK, "--json").out)
    assert planned["plan"] == done["plan"]
    assert done["plan"]["new_images"] == {"in_new_categories": 15, "in_known_categories": 4}
    assert done["plan"]["duplicates"] == {"in_the_folder": 1, "in_the_catalogue": 1}
    assert [Path(one["path"]).name for one in done["plan"]["near_duplicates"]].count("nearly.png") == 1
    shown = cdml("ingest-task", site.latin, "--name", "again", *here, "--dry-run")
    assert shown.code == 1, "nothing of it is new"
