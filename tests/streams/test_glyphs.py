import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from continual_dml.errors import SettingsError, UnknownChoice
from streams.glyph_alphabets import GLYPH_TASKS, category_name
from streams.glyph_faces import draw_ink, drawing_faces
from streams.glyph_rendering import render_glyph
from streams.glyphs import render_task

ALL = [character for alphabet in GLYPH_TASKS.values() for character in alphabet]


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.png"))
    }


@pytest.fixture(scope="module")
def faces():
    return {task: drawing_faces(alphabet) for task, alphabet in GLYPH_TASKS.items()}


def test_there_are_hundreds_of_categories_with_names_of_their_own():
    assert list(GLYPH_TASKS) == ["latin", "greek", "cyrillic", "arrows", "operators"]
    assert len({category_name(character) for character in ALL}) == len(ALL) > 300


def test_names_are_readable_folder_names():
    names = {category_name(character) for character in ALL}
    assert {"latin-small-a", "greek-small-alpha", "for-all"} <= names
    assert all(name.replace("-", "").isascii() and name.replace("-", "").isalnum() for name in names)


def test_every_character_is_drawn_by_several_faces(faces):
    for drawn in faces.values():
        assert min(len(found) for found in drawn.values()) >= 6


def test_a_face_without_the_character_is_never_used():
    private_use = "\U000f0000"  # in no real face, so only the missing-glyph box could be drawn
    assert drawing_faces("A" + private_use)[private_use] == []


def test_faces_that_draw_two_characters_the_same_draw_neither():
    latin_and_greek_a = "A\u0391"
    drawn = drawing_faces(latin_and_greek_a)
    assert not {path.name for path in drawn["\u0391"]} & {"DejaVuSans.ttf", "DejaVuSerif.ttf"}


def normalised_shape(face, character):
    ink = draw_ink(face, character, 60)
    scale = 28 / max(ink.size)
    size = [max(1, round(length * scale)) for length in ink.size]
    canvas = Image.new("L", (32, 32))
    canvas.paste(ink.resize(size), ((32 - size[0]) // 2, (32 - size[1]) // 2))
    shape = np.asarray(canvas, dtype=float).ravel()
    return shape / np.linalg.norm(shape)


def test_no_two_categories_of_any_tasks_look_alike(faces):
    drawn = {character: set(found) for task in faces.values() for character, found in task.items()}
    for face in set().union(*drawn.values()):
        characters = [character for character in ALL if face in drawn[character]]
        shapes = np.stack([normalised_shape(face, character) for character in characters])
        alike = np.triu(shapes @ shapes.T, 1) > 0.985
        pairs = [(characters[i], characters[j]) for i, j in np.argwhere(alike)]
        assert pairs == [], face.name


def test_pictures_are_the_same_bytes_for_the_same_seed(tmp_path):
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        render_task("greek", tmp_path / name, 3, 2, seed=seed)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert not set(digests(tmp_path / "one").values()) & set(digests(tmp_path / "other").values())


def test_more_categories_and_samples_leave_the_earlier_pictures_alone(tmp_path):
    assert render_task("arrows", tmp_path / "few", 2, 2) == 4
    assert render_task("arrows", tmp_path / "many", 3, 4) == 12
    assert digests(tmp_path / "few").items() <= digests(tmp_path / "many").items()
    assert len(set(digests(tmp_path / "many").values())) == 12


def test_pictures_have_the_size_asked_for_and_stand_in_category_folders(tmp_path):
    render_task("operators", tmp_path, 2, 1, side_pixels=32)
    assert set(digests(tmp_path)) == {"for-all/0000.png", "partial-differential/0000.png"}
    with Image.open(tmp_path / "for-all" / "0000.png") as picture:
        assert (picture.size, picture.mode) == ((32, 32), "RGB")


def test_the_ink_stands_out_and_is_not_clipped(faces):
    for task, alphabet in GLYPH_TASKS.items():
        for character in alphabet[::9]:
            random = np.random.default_rng([1, ord(character)])
            picture = render_glyph(character, faces[task][character], 64, random).astype(float)
            grey = picture @ [0.299, 0.587, 0.114]
            border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
            apart = np.abs(grey - np.median(border)) > 50
            assert apart.mean() > 0.01, character
            assert np.abs(border - np.median(border)).max() < 150, character


def test_an_unknown_task_offers_the_closest_names(tmp_path):
    with pytest.raises(UnknownChoice, match="did you mean greek"):
        render_task("grek", tmp_path, 1, 1)


@pytest.mark.parametrize(
    ("categories", "samples", "side", "seed"),
    [(0, 1, 64, 0), (9999, 1, 64, 0), (1, 0, 64, 0), (1, 1, 4, 0), (1, 1, 64, -1)],
)
def test_numbers_that_cannot_work_are_refused_before_anything_is_written(
    tmp_path, categories, samples, side, seed
):
    with pytest.raises(SettingsError, match="latin|samples"):
        render_task("latin", tmp_path / "out", categories, samples, side, seed)
    assert not Path(tmp_path / "out").exists()
