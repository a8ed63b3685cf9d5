import os
import unicodedata
from pathlib import Path

import pytest

from continual_dml.errors import EmptyTask, StreamError
from continual_dml.records import Role
from continual_dml.settings import StreamSettings
from streams.folder_scan import DEPTH_LIMIT, scan_folder

LIMITS = StreamSettings()


def make(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode("utf-8", "surrogateescape"))
    return root


def found(scan):
    return [(str(Path(file.path).relative_to(scan.root)), file.category, file.role) for file in scan.files]


def problems(scan):
    return {str(Path(problem.path).relative_to(scan.root)): problem.reason for problem in scan.problems}


def test_each_folder_is_a_category_and_files_come_sorted(tmp_path):
    scan = scan_folder(make(tmp_path, "b/2.jpg", "b/1.jpg", "a/9.jpg"), LIMITS)
    assert found(scan) == [("a/9.jpg", "a", None), ("b/1.jpg", "b", None), ("b/2.jpg", "b", None)]
    assert not scan.has_given_queries
    assert scan.problems == ()


def test_train_and_test_folders_give_the_roles(tmp_path):
    scan = scan_folder(make(tmp_path, "train/a/1.jpg", "test/a/2.jpg", "test/b/3.jpg"), LIMITS)
    assert scan.has_given_queries
    assert found(scan) == [
        ("test/a/2.jpg", "a", Role.QUERY),
        ("train/a/1.jpg", "a", Role.GALLERY),
        ("test/b/3.jpg", "b", Role.QUERY),
    ]


def test_toy_trains_and_tests_without_folders_inside_are_plain_categories(tmp_path):
    scan = scan_folder(make(tmp_path, "train/1.jpg", "test/2.jpg"), LIMITS)
    assert [category for _, category, _ in found(scan)] == ["test", "train"]


@pytest.mark.parametrize(("there", "missing"), [("train", "test"), ("test", "train")])
def test_half_of_a_train_test_layout_is_an_error_that_says_what_is_missing(tmp_path, there, missing):
    make(tmp_path, f"{there}/a/1.jpg", f"{there}/b/1.jpg")
    with pytest.raises(StreamError, match=f"none in '{missing}'"):
        scan_folder(tmp_path, LIMITS)


def test_what_lies_beside_train_and_test_is_reported(tmp_path):
    scan = scan_folder(make(tmp_path, "train/a/1.jpg", "test/a/2.jpg", "val/a/3.jpg", "train/x.jpg"), LIMITS)
    assert problems(scan) == {
        "val": "beside the train and test folders, not read",
        "train/x.jpg": "not inside a category folder",
    }


def test_files_outside_a_category_are_reported(tmp_path):
    scan = scan_folder(make(tmp_path, "a/1.jpg", "readme.txt"), LIMITS)
    assert problems(scan) == {"readme.txt": "not inside a category folder"}


def test_hidden_files_are_passed_over(tmp_path):
    make(tmp_path, "a/1.jpg", "a/.DS_Store", "a/Thumbs.db", ".git/x", "__MACOSX/a/1.jpg", ".DS_Store")
    scan = scan_folder(tmp_path, LIMITS)
    assert len(scan.files) == 1
    assert scan.problems == ()
    assert list(scan.category_folders) == ["a"]


def test_links_are_never_followed(tmp_path):
    outside = make(tmp_path / "outside", "secret/1.jpg")
    root = make(tmp_path / "task", "a/1.jpg")
    (root / "a" / "file.jpg").symlink_to(outside / "secret" / "1.jpg")
    (root / "a" / "folder").symlink_to(outside)
    (root / "linked-category").symlink_to(outside / "secret")
    (root / "a" / "loop").symlink_to(root)
    scan = scan_folder(root, LIMITS)
    assert [path for path, _, _ in found(scan)] == ["a/1.jpg"]
    names = ["a/file.jpg", "a/folder", "a/loop", "linked-category"]
    assert problems(scan) == dict.fromkeys(names, "symbolic link, not followed")


def test_the_task_folder_itself_may_be_a_link_that_the_user_named(tmp_path):
    make(tmp_path / "real", "a/1.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    scan = scan_folder(tmp_path / "link", LIMITS)
    assert scan.root == str(tmp_path / "real")


def test_named_pipes_are_reported(tmp_path):
    make(tmp_path, "a/1.jpg")
    os.mkfifo(tmp_path / "a" / "pipe.jpg")
    assert problems(scan_folder(tmp_path, LIMITS)) == {"a/pipe.jpg": "not a regular file"}


def test_folders_inside_a_category_belong_to_it_down_to_a_limit(tmp_path):
    deep = "/".join(str(level) for level in range(1, DEPTH_LIMIT))
    scan = scan_folder(make(tmp_path, f"a/{deep}/in.jpg", f"a/{deep}/more/out.jpg"), LIMITS)
    assert found(scan) == [(f"a/{deep}/in.jpg", "a", None)]
    assert problems(scan) == {f"a/{deep}/more": f"more than {DEPTH_LIMIT} folders deep, not read"}


def test_names_that_differ_in_unicode_form_only_are_one_category(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "crème brûlée") for form in ("NFC", "NFD"))
    scan = scan_folder(make(tmp_path, f"{composed}/1.jpg", f"{decomposed}/2.jpg"), LIMITS)
    assert [category for _, category, _ in found(scan)] == [composed, composed]


@pytest.mark.parametrize(
    "name", ["'; DROP TABLE item; --", "<b>&amp;", "$(id)", " ", "a\nb", "日本語 🍎", "-rf"]
)
def test_any_text_is_a_category_name(tmp_path, name):
    scan = scan_folder(make(tmp_path, f"{name}/1.jpg"), LIMITS)
    assert list(scan.category_folders) == [name]
    assert scan.files[0].category == name


def test_names_that_are_no_text_are_reported_in_printable_form(tmp_path):
    broken = os.fsdecode(b"caf\xe9")
    make(tmp_path, "a/1.jpg", f"a/{broken}.jpg", f"{broken}/1.jpg")
    scan = scan_folder(tmp_path, LIMITS)
    reasons = {problem.reason for problem in scan.problems}
    assert reasons == {"its name is not valid UTF-8"}
    assert all(problem.path.isprintable() and problem.path.encode() for problem in scan.problems)
    assert len(scan.problems) == 2


def test_more_files_than_allowed_stop_the_scan(tmp_path):
    make(tmp_path, *(f"a/{i}.jpg" for i in range(5)))
    assert len(scan_folder(tmp_path, StreamSettings(max_files=6)).files) == 5
    with pytest.raises(StreamError, match="more than 5 files"):
        scan_folder(tmp_path, StreamSettings(max_files=5))


def test_a_missing_folder_is_named_in_the_error(tmp_path):
    with pytest.raises(StreamError, match=r"no such folder: .*nowhere; check the path"):
        scan_folder(tmp_path / "nowhere", LIMITS)


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path):
    make(tmp_path, "task.zip")
    with pytest.raises(StreamError, match="is not a folder"):
        scan_folder(tmp_path / "task.zip", LIMITS)


def test_a_folder_without_category_folders_says_what_to_do(tmp_path):
    make(tmp_path, "1.jpg")
    with pytest.raises(EmptyTask, match="put the images of each category into its own folder"):
        scan_folder(tmp_path, LIMITS)


def test_an_unreadable_category_is_reported(tmp_path):
    make(tmp_path, "a/1.jpg", "b/1.jpg")
    (tmp_path / "b").chmod(0)
    try:
        if os.access(tmp_path / "b", os.R_OK):
            pytest.skip("this user, probably root, may read any folder")
        assert problems(scan_folder(tmp_path, LIMITS)) == {"b": "folder cannot be read: Permission denied"}
    finally:
        (tmp_path / "b").chmod(0o700)
