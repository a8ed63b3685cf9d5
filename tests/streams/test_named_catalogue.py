import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from continual_dml.errors import EmptyTask, SettingsError, StreamError, UnknownChoice
from continual_dml.settings import StreamSettings
from streams.named import glyph_tasks
from streams.named.catalogue import STREAMS, open_stream
from streams.named.data_folders import opened

ROOT = Path(__file__).parents[2]
SETTINGS = StreamSettings(decode_threads=2)


@pytest.fixture
def read(listener):
    def read(name, **options):
        options = {"location": None, "side_pixels": 8, "seed": 0, "settings": SETTINGS, **options}
        return open_stream(str(name), listener=listener, **options)

    return read


@pytest.fixture
def fruit(tmp_path, save_image):
    """Five categories of five images."""
    for label, name in enumerate(("apple", "kiwi", "lime", "pear", "plum")):
        for number in range(5):
            save_image(tmp_path / "fruit" / name / f"{number}.png", 10 * label + number, size=8)
    return tmp_path / "fruit"


def zipped(folder, archive, prefix=""):
    with zipfile.ZipFile(archive, "w") as content:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                content.write(path, f"{prefix}{path.relative_to(folder)}")
    return archive


def counts(stream):
    return [(task.name, len(task.train), len(task.query)) for task in stream.tasks]


def test_a_folder_of_categories_is_dealt_out_by_seed(fruit, read):
    stream = read(fruit)
    assert counts(stream) == [("task-1", 12, 3), ("task-2", 8, 2)]
    assert (stream.name, stream.unseen) == ("fruit", None)
    labels = [set(task.train.labels.tolist()) for task in stream.tasks]
    assert labels == [{0, 1, 2}, {3, 4}]
    again, other = read(fruit), [read(fruit, seed=seed) for seed in range(1, 5)]
    np.testing.assert_array_equal(stream.tasks[0].train.pixels, again.tasks[0].train.pixels)
    first = [str(np.asarray(each.tasks[0].query.pixels).tolist()) for each in (stream, *other)]
    assert len(set(first)) > 1


def test_asked_sizes_leave_the_other_categories_unread(fruit, read, listener):
    assert [entry[1:] for entry in counts(read(fruit, sizes=[2, 1]))] == [(8, 2), (4, 1)]
    assert listener.stages == [("reading images", 15)]
    assert listener.units == 15
    with pytest.raises(SettingsError, match="there are 5"):
        read(fruit, sizes=[3, 3])


def test_given_test_images_all_ask_and_untrained_categories_are_unseen(fruit, tmp_path, read):
    root = tmp_path / "halves"
    for name in ("apple", "kiwi"):
        shutil.copytree(fruit / name, root / "train" / name)
    for source, name in (("pear", "apple"), ("plum", "kiwi"), ("lime", "lime")):
        shutil.copytree(fruit / source, root / "test" / name)
    stream = read(root, settings=StreamSettings(queries_per_category=1, decode_threads=1))
    assert [entry[1:] for entry in counts(stream)] == [(10, 10)]
    assert stream.unseen.labels.tolist() == [2] * 5


def test_a_folder_of_task_folders_keeps_the_order_of_names(fruit, tmp_path, read):
    root = tmp_path / "tasks"
    shutil.copytree(fruit / "apple", root / "task-1" / "red")
    shutil.copytree(fruit / "plum", root / "task-1" / "blue")
    shutil.copytree(fruit / "kiwi", root / "task-2" / "train" / "red")
    shutil.copytree(fruit / "lime", root / "task-2" / "test" / "red")
    for seed in range(3):
        stream = read(root, seed=seed)
        assert counts(stream) == [("task-1", 8, 2), ("task-2", 5, 5)]
        assert [sorted(set(task.train.labels.tolist())) for task in stream.tasks] == [[0, 1], [2]]


@pytest.mark.parametrize("prefix", ["", "fruit/", "download/fruit/"])
def test_an_archive_is_the_same_stream_and_leaves_nothing_behind(fruit, tmp_path, read, prefix):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    archive = zipped(fruit, tmp_path / "all.zip", prefix)
    stream, plain = read(archive, pixel_directory=scratch), read(fruit)
    assert (stream.name, counts(stream)) == ("all", counts(plain))
    np.testing.assert_array_equal(stream.tasks[1].query.pixels, plain.tasks[1].query.pixels)
    assert isinstance(stream.tasks[0].train.pixels, np.memmap)
    assert list(scratch.iterdir()) == []


def test_a_named_stream_is_read_from_an_archive_too(fruit, tmp_path, read):
    for half in ("train", "test"):
        shutil.copytree(fruit, tmp_path / "halves" / half)
    shutil.rmtree(tmp_path / "halves" / "test" / "kiwi")
    archive = zipped(tmp_path / "halves", tmp_path / "grocery.zip")
    stream = read("grocery", location=archive, sizes=[3, 2])
    assert [len(task.train) for task in stream.tasks] == [15, 10]
    assert [len(task.query) for task in stream.tasks] == [0, 0]  # all are copies of training images


def test_copies_and_bad_files_are_left_out_of_a_folder_and_told(fruit, read, listener):
    shutil.copy(fruit / "apple" / "0.png", fruit / "kiwi" / "copy.png")
    (fruit / "kiwi" / "bad.jpg").write_text("no photo")
    stream = read(fruit, sizes=[5])
    assert sum(entry[1] + entry[2] for entry in counts(stream)) == 25
    told = " | ".join(listener.notes)
    assert "1 of 27 files cannot be read" in told
    assert "bad.jpg: not a JPEG" in told
    assert "1 files have the content of an earlier one" in told


def test_a_published_list_whose_images_are_missing_is_an_error(fruit, read):
    lines = [f"{name}/{n}.png,{name},train\n" for name in ("apple", "kiwi") for n in range(6)]
    (fruit / "list.csv").write_text("".join(lines))
    with pytest.raises(
        StreamError, match=r"2 of 12 files cannot be read, first .*5.png: no such file; unpack"
    ):
        read("deepfashion2-list", location=fruit)


def test_copies_that_a_published_list_names_stay(fruit, read):
    shutil.copy(fruit / "apple" / "0.png", fruit / "kiwi" / "0.png")
    lines = [f"{name}/{n}.png,{name},train\n" for name in ("apple", "kiwi") for n in range(5)]
    (fruit / "list.csv").write_text("".join(lines))
    assert [len(task.train) for task in read("deepfashion2-list", location=fruit).tasks] == [10]


def test_lists_may_not_lead_out_of_their_folder_or_name_other_splits(tmp_path, read):
    for path in ("../secret.png", "/etc/passwd", "a/../../b.png"):
        (tmp_path / "list.csv").write_text(f"{path},a,train\n")
        with pytest.raises(StreamError, match="not a path inside"):
            read("deepfashion2-list", location=tmp_path)
    (tmp_path / "list.csv").write_text("a.png,a,tran\n")
    with pytest.raises(StreamError, match="split 'tran' is none of train, query"):
        read("deepfashion2-list", location=tmp_path)
    (tmp_path / "list.csv").write_text("a.png,a,train\nb.png,a\n")
    with pytest.raises(StreamError, match="line 2: 2 fields instead of 3"):
        read("deepfashion2-list", location=tmp_path)
    (tmp_path / "list.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StreamError, match="not UTF-8"):
        read("deepfashion2-list", location=tmp_path)


def test_a_task_without_usable_images_is_named(fruit, read):
    for image in (fruit / "apple").iterdir():
        image.write_text("no photo")
    with pytest.raises(EmptyTask, match="task 'task-1' has no usable training image"):
        read(fruit, sizes=[1] * 5, seed=next(s for s in range(99) if first_category(s) == "apple"))


def first_category(seed):
    from streams.splits import split_categories

    return split_categories(("apple", "kiwi", "lime", "pear", "plum"), [1] * 5, seed)[0][0]


@pytest.mark.parametrize("name", sorted(set(STREAMS) - {"glyphs", "omniglot"}))
def test_missing_data_say_what_to_get(name, tmp_path, read):
    for location in (None, tmp_path, tmp_path / "nowhere"):
        with pytest.raises(StreamError) as caught:
            read(name, location=location)
        message = str(caught.value)
        assert message.startswith(f"{name}: ")
        assert message.endswith(STREAMS[name].how_to_get)
        assert "\n" not in message


def test_an_empty_folder_is_no_alphabet(tmp_path, read):
    with pytest.raises(StreamError, match="get Omniglot"):
        read("omniglot", location=tmp_path)


def test_unknown_names_and_paths_are_told_apart(tmp_path, read):
    with pytest.raises(UnknownChoice, match="did you mean grocery"):
        read("grocry")
    for path in (tmp_path / "nowhere", "./nowhere", "nowhere.zip"):
        with pytest.raises(StreamError, match="there is no folder or archive"):
            read(path)
    with pytest.raises(EmptyTask, match="no category folders"):
        read(tmp_path)


def test_archives_that_cannot_be_unpacked_are_typed_errors(fruit, tmp_path, read):
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK no archive")
    with pytest.raises(StreamError, match="not a zip archive"):
        read(broken)
    archive = zipped(fruit, tmp_path / "all.zip")
    for limits, reason in ((StreamSettings(max_files=3), "more than 3 entries"),
                           (StreamSettings(max_file_bytes=10), "over the limit of 10")):  # fmt: skip
        with pytest.raises(StreamError, match=reason):
            read(archive, settings=limits)
    damaged = bytearray(archive.read_bytes())
    damaged[60] ^= 0xFF
    archive.write_bytes(damaged)
    with pytest.raises(StreamError, match="not a zip archive that can be unpacked"):
        read(archive)


def test_an_error_about_an_archive_names_the_archive(tmp_path, read):
    archive = tmp_path / "flat.zip"
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("a.png", b"x")
    with pytest.raises(EmptyTask, match="flat.zip"):
        read(archive)


def test_archive_entries_cannot_leave_the_folder(tmp_path):
    archive = tmp_path / "evil.zip"
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("../../escaped.txt", "x")
    with opened(archive, SETTINGS, tmp_path) as folder:
        assert [path.name for path in folder.rglob("*.txt")] == ["escaped.txt"]
    assert list(tmp_path.rglob("escaped.txt")) == []


def test_the_glyphs_are_drawn_by_seed(read, monkeypatch):
    monkeypatch.setattr(glyph_tasks, "GLYPH_TASKS", {"greek": glyph_tasks.GLYPH_TASKS["greek"]})
    stream, other = read("glyphs", sizes=[3, 2]), read("glyphs", sizes=[3, 2], seed=1)
    assert counts(stream) == [("task-1", 45, 15), ("task-2", 30, 10)]
    assert not np.array_equal(stream.tasks[0].train.pixels, other.tasks[0].train.pixels)


def test_the_catalogue_is_light_to_import():
    code = (
        "import sys, streams.named.catalogue, streams.named.validation; "
        "print([name for name in ('torch', 'torchvision', 'scipy', 'avalanche') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
