"""What people give by mistake: one line, the documented exit code, and the last generation still answers."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from storage.writer_lock import WriterLock

QUICK = ("--steps", "2", "--device", "cpu", "--precision", "fp32", "--json")


@pytest.fixture
def ingest(cdml, site):
    """Ingest a folder; afterwards the generation that was live before, or a newer one, must answer."""

    def run(folder: Path, *options: str):
        result = cdml("-w", site.workspace, "ingest-task", folder, *QUICK, *options)
        image = next(site.latin.rglob("*.png"))
        answer = cdml("-w", site.workspace, "query", image, "-k", "1", "--json")
        assert answer.code == 0
        assert json.loads(answer.out)["generation"] == (2 if result.code not in (0, 3) else 3)
        return result

    return run


def quarantine(run) -> dict[str, str]:
    """Return reasons by file name."""
    assert run.code == 3, run.err
    return {Path(row["path"]).name: row["reason"] for row in json.loads(run.out)["task"]["quarantined"]}


def only_error(run, code: int) -> str:
    """Return the one error line; nothing may stand on stdout."""
    assert run.code == code
    assert run.out == ""
    assert len(run.error_lines) == 1
    return run.error_lines[0]


def photo(path: Path, mode: str = "RGB", seed: int = 0, **save: object) -> Path:
    """Write a picture of random noise, so that no two of them have the same content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path, **save)
    return path


def test_a_missing_folder_is_named(ingest, tmp_path):
    assert str(tmp_path / "nowhere") in only_error(ingest(tmp_path / "nowhere"), 1)


def test_a_file_is_no_task_folder(ingest, tmp_path):
    assert "photo.png" in only_error(ingest(photo(tmp_path / "photo.png")), 1)


def test_a_folder_without_images_is_an_error(ingest, tmp_path):
    (tmp_path / "task" / "empty").mkdir(parents=True)

    assert "no usable image" in only_error(ingest(tmp_path / "task"), 1)


def test_an_empty_category_is_told_and_the_rest_is_learned(ingest, arrows):
    (arrows / "nothing-here").mkdir()

    assert "nothing-here" in quarantine(ingest(arrows))


def test_one_image_alone_is_added_without_training(ingest, tmp_path):
    photo(tmp_path / "task" / "apple" / "only.png")

    run = ingest(tmp_path / "task")

    assert run.code == 0
    task = json.loads(run.out)["task"]
    assert (task["train_images"], task["query_images"]) == (1, 0)


def test_one_image_alone_is_too_little_for_a_first_task(cdml, tmp_path):
    photo(tmp_path / "task" / "apple" / "only.png")
    workspace = ("-w", tmp_path / "ws")
    tiny = ("--backbone", "conv4", "--weights", "none", "--image-side", "32")
    assert cdml(*workspace, "init", *tiny).code == 0

    run = cdml(*workspace, "ingest-task", tmp_path / "task", *QUICK)

    assert "at least two categories" in only_error(run, 1)
    assert "no task yet" in cdml(*workspace, "status").out


def test_files_that_are_no_images_are_left_out_with_a_reason(ingest, arrows):
    category = arrows / "upwards-arrow"
    (category / "text.jpg").write_text("I am not a picture")
    whole = photo(category / "cut.jpg").read_bytes()
    (category / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (category / "link.png").symlink_to(category / "0000.png")
    shutil.copy(category / "0001.png", category / "twin.png")

    reasons = quarantine(ingest(arrows))

    assert set(reasons) == {"text.jpg", "cut.jpg", "link.png", "twin.png"}
    assert "link" in reasons["link.png"]
    assert "same content" in reasons["twin.png"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser reads everything")
def test_a_file_without_read_permission_is_left_out(ingest, arrows):
    photo(arrows / "upwards-arrow" / "locked.png").chmod(0)

    assert "permission" in quarantine(ingest(arrows))["locked.png"]


def test_unusual_but_honest_images_are_learned(ingest, arrows):
    category = arrows / "upwards-arrow"
    photo(category / "cmyk.jpg", "CMYK", seed=1)
    photo(category / "palette.png", "P", seed=2)
    deep = np.random.default_rng(3).integers(0, 65535, (40, 50), dtype=np.uint16)
    Image.fromarray(deep).save(category / "deep.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turned by a quarter
    photo(category / "turned.jpg", seed=4, exif=exif)

    run = ingest(arrows)

    assert run.code == 0, run.err
    task = json.loads(run.out)["task"]
    assert task["train_images"] + task["query_images"] == 18 + 4


def test_a_folder_that_was_learned_already_changes_nothing(ingest, site):
    assert "in the catalogue already" in only_error(ingest(site.greek), 1)


@pytest.mark.parametrize(
    ("option", "given", "hint"),
    [
        ("--method", "finetun", "did you mean finetune"),
        ("--loss", "tripplet", "did you mean triplet"),
        ("--refresh", "reembd", "did you mean reembed"),
        ("--device", "gpu", "did you mean cpu"),
    ],
)
def test_an_unknown_value_of_an_option_is_a_usage_error_with_a_suggestion(
    ingest, arrows, option, given, hint
):
    assert hint in only_error(ingest(arrows, option, given), 2)


def test_a_second_writer_is_turned_away_at_once(ingest, site, arrows):
    with WriterLock(site.workspace / "LOCK"):
        assert "another cdml" in only_error(ingest(arrows), 6)


def test_a_diverging_training_publishes_nothing(ingest, arrows):
    assert "nothing was published" in only_error(ingest(arrows, "--learning-rate", "1e9", "--steps", "30"), 1)


def test_an_unreadable_query_image_stops_the_search(cdml, site, tmp_path):
    (tmp_path / "text.jpg").write_text("I am not a picture")
    good = next(site.latin.rglob("*.png"))

    run = cdml("-w", site.workspace, "query", good, tmp_path / "text.jpg", "--json")

    assert "text.jpg" in only_error(run, 1)


def test_a_command_without_a_workspace_says_how_to_make_one(cdml, tmp_path):
    assert "cdml init" in only_error(cdml("-w", tmp_path / "none", "status"), 1)


def test_a_second_init_leaves_the_workspace_alone(cdml, site):
    before = (site.workspace / "cdml.toml").read_bytes()
    tiny = ("--backbone", "conv4", "--weights", "none", "--image-side", "32")

    assert "exists already" in only_error(cdml("-w", site.workspace, "init", *tiny), 1)
    assert (site.workspace / "cdml.toml").read_bytes() == before


def test_a_damaged_generation_is_an_integrity_error(cdml, site):
    index = next((site.workspace / "gen").rglob("*index*"))
    content = bytearray(index.read_bytes())
    content[len(content) // 2] ^= 1
    index.write_bytes(bytes(content))
    image = next(site.latin.rglob("*.png"))

    assert cdml("-w", site.workspace, "query", image).code == 7
