"""The picture of search results: where what is drawn, in which colour."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from PIL import Image, ImageColor

from cli.render.contact_sheet import (
    BLANK,
    FRAME,
    GAP,
    LEGEND,
    MARGIN,
    MOST_QUERIES,
    NEUTRAL,
    PALENESS,
    PER_LINE,
    RIGHT,
    TILE,
    WRONG,
    check_destination,
    folder_categories,
    write_contact_sheet,
)
from cli.searching import Answer, Hit
from continual_dml.errors import CdmlError, SettingsError
from continual_dml.records import CatalogItem, Role
from continual_dml.settings import StreamSettings
from continual_dml.verdicts import Verdict

TOP = MARGIN + LEGEND


@pytest.fixture
def pictures(tmp_path: Path) -> dict[str, Path]:
    paths = {}
    for name, colour in (("query", "blue"), ("apple", "olive"), ("pear", "navy")):
        paths[name] = tmp_path / name / f"{name}.png"
        paths[name].parent.mkdir()
        Image.new("RGB", (30, 20), colour).save(paths[name])
    return paths


def hit(path: Path, category: str) -> Hit:
    content_hash = hashlib.sha256(path.read_bytes()).hexdigest()
    return Hit(CatalogItem(1, 1, category, 1, "fruit", Role.GALLERY, content_hash, str(path)), 0.75)


def drawn(tmp_path, answer, categories) -> Image.Image:
    write_contact_sheet(tmp_path / "sheet.png", answer, categories, StreamSettings())
    with Image.open(tmp_path / "sheet.png") as sheet:
        return sheet.convert("RGB")


def left_of(position: int) -> int:
    return MARGIN + 2 * GAP + TILE + position * (TILE + GAP)


def test_right_and_wrong_neighbours_are_framed_green_and_red(tmp_path, pictures):
    hits = [hit(pictures["apple"], "apple"), hit(pictures["pear"], "pear")]

    sheet = drawn(tmp_path, Answer(1, ((str(pictures["query"]), hits),)), ["apple"])

    middle = TILE // 2
    assert sheet.getpixel((MARGIN + middle, TOP + middle)) == ImageColor.getrgb("blue")
    for position, (frame, inside) in enumerate(((RIGHT, "olive"), (WRONG, "navy"))):
        assert sheet.getpixel((left_of(position) + FRAME // 2, TOP + middle)) == ImageColor.getrgb(frame)
        assert sheet.getpixel((left_of(position) + middle, TOP + middle)) == ImageColor.getrgb(inside)


def test_neighbours_of_a_query_of_unknown_category_are_framed_grey(tmp_path, pictures):
    answer = Answer(1, ((str(pictures["query"]), [hit(pictures["apple"], "apple")]),))

    sheet = drawn(tmp_path, answer, [None])

    assert sheet.getpixel((left_of(0) + 1, TOP + TILE // 2)) == ImageColor.getrgb(NEUTRAL)


def test_neighbours_that_are_no_match_are_pale(tmp_path, pictures):
    queries = ((str(pictures["query"]), [hit(pictures["apple"], "apple")]),) * 2
    verdicts = (Verdict(False, 0.8, 0.2), Verdict(True, 0.7, 0.9))

    sheet = drawn(tmp_path, Answer(1, queries, verdicts=verdicts), ["pear", "apple"])

    second = TOP + (sheet.height - 2 * MARGIN - LEGEND) // 2
    for top, frame, paper in ((TOP, WRONG, PALENESS), (second, RIGHT, 0)):
        for x, colour in ((left_of(0) + 1, frame), (left_of(0) + TILE // 2, "olive")):
            expected = [(1 - paper) * c + paper * 255 for c in ImageColor.getrgb(colour)]
            assert sheet.getpixel((x, top + TILE // 2)) == pytest.approx(expected, abs=1.5)


@pytest.mark.parametrize("change", ["gone", "other content"])
def test_an_image_that_is_no_longer_there_is_left_blank(tmp_path, pictures, change):
    answer = Answer(1, ((str(pictures["query"]), [hit(pictures["apple"], "apple")]),))
    pictures["apple"].unlink()
    if change == "other content":
        Image.new("RGB", (30, 20), "red").save(pictures["apple"])

    sheet = drawn(tmp_path, answer, ["apple"])

    assert sheet.getpixel((left_of(0) + 2 * FRAME, TOP + 2 * FRAME)) == ImageColor.getrgb(BLANK)


def test_many_neighbours_wrap_and_too_many_queries_are_cut(tmp_path, pictures):
    hits = [hit(pictures["apple"], "apple")] * (PER_LINE + 1)
    one = drawn(tmp_path, Answer(1, ((str(pictures["query"]), hits[:1]),)), [None])
    wrapped = drawn(tmp_path, Answer(1, ((str(pictures["query"]), hits),)), [None])
    many = Answer(1, ((str(pictures["query"]), hits[:1]),) * (MOST_QUERIES + 3))

    row = one.height - 2 * MARGIN - LEGEND
    assert wrapped.width == 2 * MARGIN + (1 + PER_LINE) * (TILE + GAP) + GAP
    assert wrapped.height > one.height
    sheet = drawn(tmp_path, many, [None] * (MOST_QUERIES + 3))
    assert sheet.height == 2 * MARGIN + LEGEND + MOST_QUERIES * row


def test_the_folder_of_a_query_names_its_category_where_the_gallery_knows_that_category(pictures):
    queries = ((str(pictures["apple"]), []), (str(pictures["query"]), []))

    assert folder_categories(Answer(1, queries, frozenset({"apple"}))) == ["apple", None]


def test_a_picture_that_cannot_be_written_is_told_before_the_search(tmp_path):
    check_destination(tmp_path / "fine.PNG")
    with pytest.raises(SettingsError, match=r"ends in \.png"):
        check_destination(tmp_path / "sheet.jpg")
    with pytest.raises(SettingsError, match="no folder"):
        check_destination(tmp_path / "nowhere" / "sheet.png")


def test_a_picture_that_cannot_be_written_is_an_error(tmp_path, pictures):
    (tmp_path / "sheet.png").mkdir()

    with pytest.raises(CdmlError, match="cannot write the contact sheet"):
        drawn(tmp_path, Answer(1, ((str(pictures["query"]), []),)), [None])
