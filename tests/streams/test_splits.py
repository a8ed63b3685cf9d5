from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from continual_dml.errors import SettingsError, StreamError
from continual_dml.records import Role
from continual_dml.settings import StreamSettings
from streams import splits
from streams.folder_scan import scan_folder
from streams.splits import split_categories, write_split

NAMES = ["apple", "kiwi", "leek", "milk", "pear", "plum"]


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(NAMES):
        for half in ("train", "test"):
            path = tmp_path / "all" / half / name / "sub" / f"{number}.jpg"
            path.parent.mkdir(parents=True)
            path.write_text(f"{half} {name}")
    return tmp_path / "all"


@given(
    st.sets(st.text(min_size=1), min_size=1, max_size=30),
    st.lists(st.integers(1, 9), min_size=1, max_size=5),
    st.integers(0, 99),
)
def test_tasks_have_the_sizes_asked_for_and_share_no_category(names, sizes, seed):
    if sum(sizes) > len(names):
        with pytest.raises(SettingsError, match="use smaller task sizes"):
            split_categories(names, sizes, seed)
        return
    parts = split_categories(names, sizes, seed)
    flat = [name for part in parts for name in part]
    assert [len(part) for part in parts] == sizes
    assert len(set(flat)) == len(flat)
    assert set(flat) <= names


def test_a_split_depends_on_the_seed_and_not_on_the_order_of_names():
    assert split_categories(NAMES, [2, 4], 5) == split_categories(reversed(NAMES), [2, 4], 5)
    assert len({str(split_categories(NAMES, [3, 3], seed)) for seed in range(10)}) > 1


@pytest.mark.parametrize("sizes", [[], [0], [2, -1]])
def test_sizes_that_cannot_work_are_refused(sizes):
    with pytest.raises(SettingsError, match="at least one category"):
        split_categories(NAMES, sizes, 0)


def contents(task):
    return {(f.category, f.role, Path(f.path).read_text()) for f in scan_folder(task, StreamSettings()).files}


def test_task_folders_hold_the_files_of_their_categories_in_the_same_layout(folder, tmp_path):
    tasks = write_split(folder, tmp_path / "out", [2, 3], seed=1)
    parts = split_categories(NAMES, [2, 3], 1)
    assert [task.name for task in tasks] == ["task-1", "task-2"]
    for task, categories in zip(tasks, parts, strict=True):
        expected = {(name, role, f"{half} {name}") for name in categories
                    for half, role in (("train", Role.GALLERY), ("test", Role.QUERY))}  # fmt: skip
        assert contents(task) == expected


def test_files_are_hard_links_where_possible(folder, tmp_path):
    (task,) = write_split(folder, tmp_path / "out", [6], seed=0)
    source = folder / "train" / "apple" / "sub" / "0.jpg"
    assert (task / "train" / "apple" / "sub" / "0.jpg").samefile(source)


def test_files_are_copied_where_links_are_impossible(folder, tmp_path, monkeypatch):
    def refuse(*_arguments, **_options):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(splits.os, "link", refuse)
    (task,) = write_split(folder, tmp_path / "out", [6], seed=0)
    copy = task / "train" / "apple" / "sub" / "0.jpg"
    assert copy.read_text() == "train apple"
    assert copy.stat().st_nlink == 1


def test_a_task_without_test_images_can_still_be_read(folder, tmp_path):
    for name in NAMES[1:]:
        (folder / "test" / name / "sub" / f"{NAMES.index(name)}.jpg").unlink()
    for task in write_split(folder, tmp_path / "out", [1] * 6, seed=0):
        assert scan_folder(task, StreamSettings()).has_given_queries


def test_many_tasks_sort_by_name(folder, tmp_path):
    for number in range(6):
        path = folder / "train" / f"extra{number}" / "1.jpg"
        path.parent.mkdir()
        path.write_text("x")
    tasks = write_split(folder, tmp_path / "out", [1] * 12, seed=0)
    assert tasks == sorted(tasks)


def test_a_destination_that_is_not_empty_is_left_alone(folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    with pytest.raises(StreamError, match="is not empty"):
        write_split(folder, tmp_path / "out", [2], seed=0)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
