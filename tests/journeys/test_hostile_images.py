"""Whatever lies in a file is an image or a quarantined file with its reason; the task goes on either way."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

from continual_dml.errors import UnreadableImage
from continual_dml.settings import StreamSettings
from streams.decoding_cost import MOST_SCANS
from streams.image_decoding import decode_image, square_pixels
from tests.hostile import images

HONEST, UNUSABLE, DAMAGED = images.honest(), images.unusable(), images.damaged()
QUICK = ("--steps", "2", "--device", "cpu", "--precision", "fp32", "--json")


def decoded(data: bytes, name: str = "file"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as the command line does
        return decode_image(data, StreamSettings(), name, side=32)


def one_line(reason: str) -> bool:
    return bool(reason) and "\n" not in reason and len(reason) < 300


@pytest.mark.parametrize("name", HONEST)
def test_an_unusual_picture_is_taken(name):
    image = decoded(HONEST[name])
    assert image.mode == "RGB"
    assert square_pixels(image, 32).shape == (32, 32, 3)


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_is_no_usable_picture_is_refused_in_one_line(name):
    with pytest.raises(UnreadableImage) as caught:
        decoded(UNUSABLE[name], name)
    assert one_line(caught.value.reason)


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_picture_is_taken_or_refused_in_one_line(name):
    try:
        assert decoded(DAMAGED[name]).mode == "RGB"
    except UnreadableImage as error:
        assert one_line(error.reason)


def test_of_an_animation_the_first_frame_is_taken():
    first = images.picture(1).getpixel((24, 24))
    for name in ("animated.gif", "animated.webp", "animated.png", "pages.tif"):
        seen = decoded(HONEST[name]).getpixel((24, 24))
        assert max(abs(a - b) for a, b in zip(first, seen, strict=True)) < 40, name


def test_a_jpeg_may_have_as_many_scans_as_are_ever_of_use_and_no_more():
    assert decoded(images.jpeg_of_many_scans(MOST_SCANS - 20, side=64)).mode == "RGB"
    with pytest.raises(UnreadableImage, match="more than 100 scans"):
        decoded(images.jpeg_of_many_scans(MOST_SCANS + 1, side=64))


def test_a_tile_larger_than_a_picture_may_be_is_named():
    with pytest.raises(UnreadableImage, match="tiles of 20000 x 20000 pixels"):
        decoded(UNUSABLE["huge-tile.tif"])


def test_a_task_full_of_hostile_files_is_learned_without_them(cdml, site, arrows):
    category = next(arrows.iterdir())
    there = HONEST | UNUSABLE | DAMAGED
    for name, data in there.items():
        (category / name).write_bytes(data)
    good = sum(1 for path in arrows.rglob("*") if path.is_file()) - len(there)

    # Most of the pictures are noise, so that the quality gate would refuse the task.
    run = cdml("-w", site.workspace, "ingest-task", arrows, *QUICK, "--min-recall", "0")

    assert run.code == 3, run.err
    assert "Traceback" not in run.out + run.err
    task = json.loads(run.out)["task"]
    left_out = {Path(row["path"]).name: row["reason"] for row in task["quarantined"]}
    assert left_out.keys() >= UNUSABLE.keys()
    assert not left_out.keys() & HONEST.keys()
    assert all(one_line(reason) for reason in left_out.values())
    assert task["train_images"] + task["query_images"] == good + len(there) - len(left_out)


@pytest.mark.parametrize("name", ["bomb.png", "many-scans.jpg", "print.eps", "cut-3.webp"])
def test_a_hostile_query_is_one_error_line(cdml, site, tmp_path, name):
    (tmp_path / name).write_bytes((UNUSABLE | DAMAGED)[name])

    run = cdml("-w", site.workspace, "query", tmp_path / name)

    assert (run.code, run.out, len(run.err.splitlines())) == (1, "", 1)
    assert name in run.error_lines[0]
