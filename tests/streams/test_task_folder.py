import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from continual_dml.errors import EmptyTask, StreamError
from continual_dml.records import Role
from continual_dml.settings import StreamSettings
from streams.image_reader import read_image
from streams.pixel_rows import allocate_pixels
from streams.task_folder import load_task

SETTINGS = StreamSettings(decode_threads=2)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def load(listener):
    def load(path, **options):
        options = {"name": None, "side_pixels": 8, "settings": SETTINGS, "listener": listener, **options}
        return load_task(path, **options)

    return load


@pytest.fixture
def flat_folder(tmp_path, save_image):
    root = tmp_path / "fruit"
    for number in range(20):
        save_image(root / ("apple" if number < 10 else "pear") / f"{number}.png", number)
    return root


def reasons(task):
    return {os.path.relpath(row.path, task.source): row.reason for row in task.quarantined}


def test_records_and_pixels_belong_together(flat_folder, load):
    task = load(flat_folder)
    assert (task.name, task.source) == ("fruit", str(flat_folder))
    assert len(task.records) == len(task.pixels) == 20
    assert task.quarantined == ()
    for record, pixels in zip(task.records, task.pixels, strict=True):
        image = read_image(record.path, 8, SETTINGS)
        assert (record.content_hash, record.size_bytes) == (image.content_hash, image.size_bytes)
        assert record.category == Path(record.path).parent.name
        assert Path(record.path).is_absolute()
        np.testing.assert_array_equal(pixels, image.pixels)


def test_each_category_gives_queries_and_gallery(flat_folder, load):
    roles = {(record.category, record.role) for record in load(flat_folder).records}
    assert roles == {(c, r) for c in ("apple", "pear") for r in Role}


def test_the_same_folder_gives_the_same_task_wherever_it_lies(flat_folder, load, tmp_path):
    shutil.copytree(flat_folder, tmp_path / "elsewhere" / "fruit")
    one, other = load(flat_folder), load(tmp_path / "elsewhere" / "fruit")
    assert [(r.content_hash, r.role) for r in one.records] == [
        (r.content_hash, r.role) for r in other.records
    ]
    np.testing.assert_array_equal(one.pixels, other.pixels)


def test_a_given_name_and_a_relative_path_are_taken(flat_folder, load, monkeypatch):
    monkeypatch.chdir(flat_folder.parent)
    task = load("fruit", name="autumn")
    assert (task.name, task.source) == ("autumn", str(flat_folder))


def test_progress_is_one_unit_per_file(flat_folder, load, listener):
    (flat_folder / "pear" / "note.txt").write_text("not a photo")
    load(flat_folder)
    assert listener.stages == [("reading images", 21)]
    assert listener.units == 21


def test_pixels_in_a_file_equal_pixels_in_memory_and_leave_nothing_behind(flat_folder, load, tmp_path):
    directory = tmp_path / "scratch"
    directory.mkdir()
    in_file, in_memory = load(flat_folder, pixel_directory=directory), load(flat_folder)
    assert isinstance(in_file.pixels, np.memmap)
    np.testing.assert_array_equal(in_file.pixels, in_memory.pixels)
    assert list(directory.iterdir()) == []


def test_a_disk_without_room_for_the_pixels_is_an_error_before_anything_is_read(tmp_path):
    with pytest.raises(StreamError, match="cannot reserve"):
        allocate_pixels(10**9, 10**4, tmp_path)


def test_bad_files_are_quarantined_and_never_stop_the_task(flat_folder, load, save_image):
    apple = flat_folder / "apple"
    whole = save_image(apple / "whole.jpg", 77).read_bytes()
    (apple / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (apple / "empty.png").write_bytes(b"")
    (apple / "text.jpg").write_text("I am no photo")
    (apple / "list.csv").write_text("a,b\n")
    (apple / "link.jpg").symlink_to(apple / "whole.jpg")
    os.mkfifo(apple / "pipe.jpg")
    (flat_folder / "stray.jpg").write_bytes(whole)
    task = load(flat_folder)
    not_an_image = "not a JPEG, PNG, WEBP, BMP, GIF or TIFF image"
    found = reasons(task)
    assert found.pop("apple/cut.jpg").startswith("damaged image: ")
    assert found == {
        "apple/empty.png": "empty file",
        "apple/text.jpg": not_an_image,
        "apple/list.csv": not_an_image,
        "apple/link.jpg": "symbolic link, not followed",
        "apple/pipe.jpg": "not a regular file",
        "stray.jpg": "not inside a category folder",
    }
    assert len(task.records) == len(task.pixels) == 21


def test_of_equal_files_the_first_is_kept(flat_folder, load):
    shutil.copy(flat_folder / "apple" / "3.png", flat_folder / "apple" / "copy.png")
    shutil.copy(flat_folder / "apple" / "3.png", flat_folder / "pear" / "3.png")
    task = load(flat_folder)
    assert reasons(task) == {
        "apple/copy.png": "same content as apple/3.png",
        "pear/3.png": "same content as apple/3.png in category apple",
    }
    assert len({record.content_hash for record in task.records}) == len(task.records) == 20


def test_a_training_copy_is_kept_before_a_test_copy(tmp_path, load, save_image):
    save_image(tmp_path / "train" / "pear" / "z.png", 1)
    save_image(tmp_path / "test" / "apple" / "a.png", 1)
    save_image(tmp_path / "test" / "apple" / "b.png", 2)
    task = load(tmp_path)
    assert [(r.category, r.role) for r in task.records] == [("pear", Role.GALLERY), ("apple", Role.QUERY)]
    assert reasons(task) == {"test/apple/a.png": "same content as train/pear/z.png in category pear"}


def test_given_queries_beyond_the_cap_are_noted_and_not_quarantined(tmp_path, load, save_image, listener):
    for number in range(6):
        save_image(tmp_path / "test" / "a" / f"{number}.png", number)
        save_image(tmp_path / "train" / "a" / f"{number}.png", 10 + number)
    task = load(tmp_path, settings=StreamSettings(queries_per_category=2, decode_threads=2))
    queries = [record for record in task.records if record.role is Role.QUERY]
    everything = [read_image(str(p), 8, SETTINGS).content_hash for p in (tmp_path / "test" / "a").iterdir()]
    assert sorted(record.content_hash for record in queries) == sorted(everything)[:2]
    assert task.quarantined == ()
    assert listener.notes == ["4 test images beyond 2 per category are not used"]
    for record, pixels in zip(task.records, task.pixels, strict=True):
        np.testing.assert_array_equal(pixels, read_image(record.path, 8, SETTINGS).pixels)


def test_an_empty_category_is_named_in_the_quarantine_list(flat_folder, load):
    (flat_folder / "plum").mkdir()
    (flat_folder / "kiwi").mkdir()
    (flat_folder / "kiwi" / "bad.jpg").write_bytes(b"?")
    found = reasons(load(flat_folder))
    assert found["plum"] == found["kiwi"] == "no usable image in category"
    assert "kiwi/bad.jpg" in found


def test_one_image_alone_is_loaded_as_gallery(tmp_path, load, save_image):
    save_image(tmp_path / "a" / "1.png")
    assert [record.role for record in load(tmp_path).records] == [Role.GALLERY]


def test_a_folder_of_bad_files_gives_an_empty_task_with_reasons(tmp_path, load):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpg").write_bytes(b"?")
    task = load(tmp_path, pixel_directory=tmp_path)
    assert task.records == ()
    assert task.pixels.shape == (0, 8, 8, 3)
    assert len(task.quarantined) == 2


def test_missing_and_empty_folders_are_typed_errors(tmp_path, load):
    with pytest.raises(StreamError, match="no such folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(EmptyTask, match="no category folders"):
        load(tmp_path)


def test_reading_a_task_does_not_need_torch():
    code = "import sys, streams.task_folder, streams.splits, streams.glyphs; print('torch' in sys.modules)"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


@pytest.mark.data
def test_real_photos_are_read_from_the_grocery_set(tmp_path, load):
    archive = Path(os.environ.get("CDML_TEST_DATA", ROOT.parent / "shared")) / "data" / "grocery-160.zip"
    if not archive.is_file():
        pytest.skip(f"{archive} is not there; set CDML_TEST_DATA to the folder with data/grocery-160.zip")
    with zipfile.ZipFile(archive) as photos:
        names = [name for name in photos.namelist() if name.endswith(".jpg")]
        categories = sorted({name.split("/")[-2] for name in names})[:3]
        for category in categories:
            for half in ("train", "test"):
                chosen = [name for name in names if f"{half}/{category}/" in name][:4]
                photos.extractall(tmp_path, chosen)
    (folder,) = {path.parents[2] for path in tmp_path.rglob("*.jpg")}
    task = load(folder, side_pixels=144)
    assert {record.category for record in task.records} == set(categories)
    assert {record.role for record in task.records} == set(Role)
    assert task.quarantined == ()
    assert task.pixels.shape == (len(task.records), 144, 144, 3)
    assert min(Image.fromarray(pixels).convert("L").getextrema()[1] for pixels in task.pixels) > 100
