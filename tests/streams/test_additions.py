"""Reading images that are to be added: category folders, or images of one category that the user names."""

import os

import pytest

from continual_dml.errors import EmptyTask, SettingsError, StreamError
from continual_dml.fingerprints import fingerprint
from continual_dml.records import Role
from continual_dml.settings import StreamSettings
from streams.additions import load_addition

SETTINGS = StreamSettings(decode_threads=2)


@pytest.fixture
def load(listener):
    def load(*paths, category=None, name=None, settings=SETTINGS):
        return load_addition(
            paths, category=category, name=name, side_pixels=18, settings=settings, listener=listener
        )

    return load


def reasons(task):
    return {os.path.relpath(row.path, task.source): row.reason for row in task.quarantined}


def test_all_images_of_a_folder_are_for_the_gallery(tmp_path, save_image, load):
    for number in range(12):
        save_image(tmp_path / "fruit" / ("apple" if number < 6 else "pear") / f"{number}.png", number)
    task = load(tmp_path / "fruit")
    assert (task.name, task.source) == ("fruit", str(tmp_path / "fruit"))
    assert {(record.category, record.role) for record in task.records} == {
        ("apple", Role.GALLERY),
        ("pear", Role.GALLERY),
    }
    assert len(task.records) == len(task.pixels) == len(task.fingerprints) == 12
    for square, code in zip(task.pixels, task.fingerprints, strict=True):
        assert code.tolist() == fingerprint(square).tolist()


def test_several_folders_are_one_addition(tmp_path, save_image, load):
    first, second = tmp_path / "new" / "a", tmp_path / "new" / "b"
    save_image(first / "apple" / "1.png", 1)
    save_image(second / "apple" / "2.png", 2)
    save_image(second / "apple" / "same.png", 1)
    (first / "pear").mkdir()
    (second / "pear").mkdir()
    task = load(first, second, second)
    assert (task.name, task.source) == ("new", str(tmp_path / "new"))
    assert [os.path.relpath(record.path, task.source) for record in task.records] == [
        "a/apple/1.png",
        "b/apple/2.png",
    ]
    assert reasons(task) == {
        "b/apple/same.png": "same content as a/apple/1.png",
        "a/pear": "no usable image in category",
    }
    assert task.twins == 1


def test_images_of_a_category_are_named_one_by_one(tmp_path, save_image, load):
    images = [save_image(tmp_path / f"{number}.png", number) for number in range(3)]
    (tmp_path / "note.png").write_text("no image")
    (tmp_path / "link.png").symlink_to(images[2])
    more = [tmp_path / "note.png", tmp_path / "link.png", images[1]]
    task = load(*images[:2], *more, category="kiwi")
    assert (task.name, task.source) == ("kiwi", str(tmp_path))
    paths = [record.path for record in task.records]
    assert paths == list(map(str, images)), "a link in the user's own words is followed, none is read twice"
    assert {(record.category, record.role) for record in task.records} == {("kiwi", Role.GALLERY)}
    assert list(reasons(task)) == ["note.png"]


def test_links_within_a_folder_are_left_out_as_in_a_task(tmp_path, save_image, load):
    outside = save_image(tmp_path / "outside.png")
    save_image(tmp_path / "fruit" / "apple" / "1.png", 1)
    (tmp_path / "fruit" / "apple" / "2.png").symlink_to(outside)
    assert reasons(load(tmp_path / "fruit")) == {"apple/2.png": "symbolic link, not followed"}


def test_a_name_may_be_given_and_is_brought_to_one_form(tmp_path, save_image, load):
    image = save_image(tmp_path / "1.png")
    task = load(image, category="cafe\u0301", name="e\u0301te\u0301")
    assert (task.name, task.records[0].category) == ("\u00e9t\u00e9", "caf\u00e9")
    with pytest.raises(SettingsError, match="not valid UTF-8"):
        load(image, category="kiwi", name="\udcff")


@pytest.mark.parametrize("category", ["", "a/b", ".hidden", "..", "a\x00b", "\udcff", "Thumbs.db"])
def test_a_category_is_called_what_a_folder_can_be_called(tmp_path, save_image, load, category):
    with pytest.raises(SettingsError, match="a category is named as a folder is"):
        load(save_image(tmp_path / "1.png"), category=category)


def test_what_cannot_be_meant_is_refused_before_anything_is_read(tmp_path, save_image, load):
    image = save_image(tmp_path / "fruit" / "apple" / "1.png")
    with pytest.raises(StreamError, match=r"1\.png is a file: say its category with --category"):
        load(image)
    with pytest.raises(StreamError, match="fruit is a folder: with --category name images"):
        load(image, tmp_path / "fruit", category="apple")
    with pytest.raises(StreamError, match=r"no such file: .*missing\.png"):
        load(image, tmp_path / "missing.png", category="apple")
    with pytest.raises(StreamError, match="no such folder"):
        load(tmp_path / "fruit", tmp_path / "missing")
    with pytest.raises(EmptyTask, match=r"no category folders in .*apple; .* name images and --category"):
        load(tmp_path / "fruit" / "apple")


def test_a_folder_with_images_held_out_is_refused_because_an_addition_holds_nothing_out(
    tmp_path, save_image, load
):
    for half in ("train", "test"):
        save_image(tmp_path / "fruit" / half / "apple" / "1.png")
    with pytest.raises(StreamError, match=r"an addition holds nothing out: name .*fruit/train, and "):
        load(tmp_path / "fruit")
    assert len(load(tmp_path / "fruit" / "train").records) == 1


def test_the_limit_of_files_holds_for_all_paths_together(tmp_path, save_image, load):
    few = StreamSettings(max_files=3)
    images = [save_image(tmp_path / f"{number}.png", number) for number in range(4)]
    with pytest.raises(StreamError, match="more than 3 files; add them in several steps"):
        load(*images, category="kiwi", settings=few)
    assert len(load(*images[:3], category="kiwi", settings=few).records) == 3
    for half in ("a", "b"):
        for number in range(2):
            save_image(tmp_path / half / half / f"{number}.png", number)
    with pytest.raises(StreamError, match="more than 3 files; add them in several steps"):
        load(tmp_path / "a", tmp_path / "b", settings=few)


@pytest.mark.skipif(os.sep != "/", reason="names of bytes that are no text need a POSIX system")
def test_an_image_whose_name_is_no_text_is_left_out(tmp_path, save_image, load):
    image = save_image(tmp_path / "1.png")
    odd = tmp_path / "caf\udce9.png"
    odd.write_bytes(image.read_bytes())
    task = load(image, odd, category="kiwi")
    assert len(task.records) == 1
    assert reasons(task) == {"caf\\udce9.png": "its name is not valid UTF-8"}
