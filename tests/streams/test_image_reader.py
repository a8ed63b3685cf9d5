import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from continual_dml.errors import UnreadableImage
from continual_dml.settings import StreamSettings
from streams.image_reader import ReadImage, ThreadedImageReader, read_image, read_many

LIMITS = StreamSettings(decode_threads=2)


def reason(path, **options):
    with pytest.raises(UnreadableImage) as caught:
        read_image(str(path), 8, options.pop("limits", LIMITS), **options)
    return caught.value.reason


def test_hash_and_size_belong_to_the_bytes_on_disk(tmp_path, save_image):
    path = save_image(tmp_path / "a.png")
    image = read_image(str(path), 8, LIMITS)
    assert image.content_hash == hashlib.sha256(path.read_bytes()).hexdigest()
    assert image.size_bytes == path.stat().st_size
    assert image.pixels.shape == (8, 8, 3)


def test_a_link_is_followed_only_where_asked(tmp_path, save_image):
    link = tmp_path / "link.png"
    link.symlink_to(save_image(tmp_path / "a.png"))
    assert reason(link) == "symbolic link, not followed"
    assert read_image(str(link), 8, LIMITS, follow_symlinks=True).size_bytes > 0


def test_a_missing_file_is_named_in_the_error(tmp_path):
    assert reason(tmp_path / "gone.jpg") == "no such file"
    with pytest.raises(UnreadableImage, match=r"gone\.jpg: no such file"):
        read_image(str(tmp_path / "gone.jpg"), 8, LIMITS)


def test_a_folder_named_like_a_photo_is_refused(tmp_path):
    (tmp_path / "x.jpg").mkdir()
    assert reason(tmp_path / "x.jpg") in {"not a regular file", "cannot be read: Is a directory"}


def test_a_named_pipe_is_refused_without_waiting_for_a_writer(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert reason(tmp_path / "pipe.jpg") == "not a regular file"


def test_a_file_without_read_permission_is_refused(tmp_path, save_image):
    path = save_image(tmp_path / "a.png")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user, probably root, may read any file")
    assert reason(path) == "no permission to read it"


def test_a_file_of_too_many_bytes_is_not_even_read(tmp_path):
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.truncate(10**12)  # a hole; reading it would take very long
    assert "limit of 67,108,864" in reason(path)


def test_other_content_than_expected_is_refused(tmp_path, save_image):
    path = save_image(tmp_path / "a.png")
    assert reason(path, expected_hash="0" * 64) == "its content has changed"


@pytest.mark.parametrize("small", [0, 10**9, "half of them"])
def test_many_images_come_in_order_whatever_thread_reads_them(tmp_path, save_image, monkeypatch, small):
    paths = [str(save_image(tmp_path / f"{i}.png", i)) for i in range(12)]
    sizes = sorted(Path(path).stat().st_size for path in paths)
    monkeypatch.setattr("streams.image_reader._SMALL_BYTES", sizes[6] if small == "half of them" else small)
    paths.insert(5, str(tmp_path / "gone.png"))
    images = list(read_many(paths * 30, 8, LIMITS))  # more than one block
    assert len(images) == 390
    for path, image in zip(paths * 30, images, strict=True):
        if path.endswith("gone.png"):
            assert isinstance(image, UnreadableImage)
            assert image.path == path
        else:
            assert isinstance(image, ReadImage)
            np.testing.assert_array_equal(image.pixels, read_image(path, 8, LIMITS).pixels)


def test_the_reader_leaves_out_what_is_missing_or_changed(tmp_path, save_image):
    paths = [str(save_image(tmp_path / f"{i}.png", i)) for i in range(4)]
    hashes = [read_image(path, 8, LIMITS).content_hash for path in paths]
    hashes[2] = "0" * 64
    paths[0] = str(tmp_path / "gone.png")
    pixels, positions = ThreadedImageReader(8, LIMITS).read(paths, hashes)
    assert positions.tolist() == [1, 3]
    assert positions.dtype == np.int64
    np.testing.assert_array_equal(pixels[1], read_image(paths[3], 8, LIMITS).pixels)


def test_files_of_a_folder_that_is_gone_are_not_even_tried(tmp_path, save_image, monkeypatch):
    paths = [str(tmp_path / "gone" / "a.png"), str(save_image(tmp_path / "b.png", 1)), "gone/c.png", "d.png"]
    monkeypatch.chdir(tmp_path)
    save_image(tmp_path / "d.png", 2)
    tried = []

    def noted(path, *arguments, **options):
        tried.append(path)
        return read_image(path, *arguments, **options)

    monkeypatch.setattr("streams.image_reader.read_image", noted)
    pixels, positions = ThreadedImageReader(8, LIMITS).read(paths)
    assert (positions.tolist(), len(pixels)) == ([1, 3], 2)
    assert sorted(tried) == sorted([paths[1], "d.png"])


def test_the_reader_gives_an_empty_array_for_no_paths():
    pixels, positions = ThreadedImageReader(8, LIMITS).read([])
    assert pixels.shape == (0, 8, 8, 3)
    assert positions.shape == (0,)
