"""Each tutorial's commands, run in order in an empty folder, print what the page shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import cli
from streams.glyphs import render_task
from tests.tutorials import Step, as_shown, steps

SHOWN = Step("cdml tasks", ("id  name", "...", "2  greek  0.125  12.9 s"), varies=False)
TUTORIALS = Path(cli.__file__).parent.parent / "docs" / "tutorials"
SMALL_NETWORK = {
    "--weights imagenet --image-side 128": "--backbone conv4 --weights none --image-side 32 --no-flip",
    "mobilenet_v2, weights imagenet,": "conv4, weights none, it starts from scratch,",
}
SPRING = ("asparagus", "avocado", "banana", "cabbage", "carrots", "cucumber", "garlic", "kiwi", "leek")
SUMMER = ("aubergine", "cantaloupe", "nectarine", "papaya", "peach", "pineapple", "plum", "pomegranate")
PHOTOS = [
    *(f"spring/{one}" for one in (*SPRING, "lemon", "mango", "orange")),
    *(f"summer/{one}" for one in (*SUMMER, "lime", "red-beet", "watermelon", "zucchini")),
]


def follow(page: str, cdml, instead: dict[str, str]) -> list[Step]:
    done = list(steps((TUTORIALS / page).read_text(encoding="utf-8"), instead))
    for step in done:
        run = cdml(*step.arguments)

        assert run.code in ({0, 4} if step.varies else {0}), f"{step.command}\n{run.err}"
        if not step.varies:
            assert as_shown(step, run.out, run.err), f"{step.command}\n{run.out}\n{run.err}"
    return done


def test_ten_minutes_with_drawn_characters(cdml, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    done = follow("glyphs.md", cdml, {"--steps 60": "--steps 15"})

    assert len(done) > 10
    assert (tmp_path / "found.png").is_file()


def test_ten_minutes_with_your_photos(cdml, tmp_path, monkeypatch, drawn_photos):
    monkeypatch.chdir(drawn_photos)
    monkeypatch.setenv("CDML_STEPS", "40")  # fewer and chance decides whether the gate lets it pass

    assert len(follow("photos.md", cdml, SMALL_NETWORK)) > 10


@pytest.mark.parametrize("out", ["id name\n2 greek 0.5 1 min 3 s\n", "id name\n1 latin 1\n2 greek 0 9.0 s\n"])
def test_numbers_times_and_widths_may_differ_and_dots_stand_for_lines(out):
    assert as_shown(SHOWN, out, "")


@pytest.mark.parametrize(
    "out",
    ["id name\n2 greek 0.5\n", "name id\n2 greek 0.5 9 s\n", "id name\n2 greek 0.5 9 s\nmore\n", "id name\n"],
)
def test_words_and_lines_may_not(out):
    assert not as_shown(SHOWN, out, "")


@pytest.fixture
def drawn_photos(tmp_path: Path) -> Path:
    """Drawn characters under the names that the tutorial's photos have, as many of each."""
    drawings = tmp_path / "drawings"
    render_task("arrows", drawings, categories=26, samples_per_category=15, side_pixels=48)
    kinds = sorted(drawings.iterdir())
    for kind, name in zip(kinds, PHOTOS, strict=False):
        for number in range(12):
            save_as_photo(kind / f"{number:04d}.png", tmp_path / "photos" / name / f"{number + 1:02d}.jpg")
    arrived = tmp_path / "photos" / "arrived"
    for number in range(3):
        save_as_photo(kinds[2] / f"{number + 12:04d}.png", arrived / "banana" / f"{number}.jpg")
    for number in range(4):
        save_as_photo(kinds[24] / f"{number:04d}.png", arrived / "passion-fruit" / f"{number}.jpg")
    save_as_photo(kinds[17] / "0012.png", tmp_path / "photos" / "question.jpg")
    save_as_photo(kinds[25] / "0000.png", tmp_path / "photos" / "unknown.jpg")
    return tmp_path


def save_as_photo(drawing: Path, photo: Path) -> None:
    photo.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(drawing) as picture:
        picture.resize((120, 120)).save(photo, quality=92)
