"""One picture in every form that a program may have it in gives one square."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from continual_dml.errors import StreamError, UnreadableImage
from continual_dml.settings import StreamSettings
from streams.given_images import given_square, given_squares
from streams.image_reader import read_image

SIDE, LIMITS = 18, StreamSettings()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 31, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def test_every_form_of_a_picture_gives_the_square_of_its_file(picture: Path) -> None:
    stored = read_image(str(picture), SIDE, LIMITS).pixels
    decoded = np.array(Image.open(picture))
    planes = torch.from_numpy(decoded).permute(2, 0, 1)
    forms = [
        picture,
        str(picture),
        picture.read_bytes(),
        Image.open(picture),
        decoded,
        planes,
        planes / 255.0,
    ]
    for form in forms:
        assert np.array_equal(given_square(form, SIDE, LIMITS), stored), type(form)


def test_a_grey_array_is_a_grey_picture(picture: Path) -> None:
    grey = np.array(Image.open(picture).convert("L"))
    three = np.repeat(grey[..., None], 3, axis=2)
    assert np.array_equal(given_square(grey, SIDE, LIMITS), given_square(three, SIDE, LIMITS))


def test_a_photo_opened_with_pillow_is_turned_as_its_file_would_be(tmp_path: Path) -> None:
    path = tmp_path / "turned.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    half = np.zeros((16, 16, 3), dtype=np.uint8)
    half[:8] = 255
    Image.fromarray(half).save(path, exif=exif)
    stored = read_image(str(path), SIDE, LIMITS).pixels
    assert np.array_equal(given_square(Image.open(path), SIDE, LIMITS), stored)
    assert not np.array_equal(given_square(half, SIDE, LIMITS), stored)


def test_a_batch_is_several_images(picture: Path) -> None:
    batch = np.stack([np.array(Image.open(picture))] * 2)
    assert given_squares(batch, SIDE, LIMITS).shape == (2, SIDE, SIDE, 3)
    assert given_squares([], SIDE, LIMITS).shape == (0, SIDE, SIDE, 3)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (b"no image", "the image: not a JPEG"),
        ("nowhere.png", "nowhere.png: no such file"),
        (np.zeros((4, 4, 3)), r"shape \(4, 4, 3\) and type float64"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"shape \(2, 4, 4, 3\)"),
        (np.zeros((0, 4, 3), np.uint8), "shape"),
        (torch.zeros(3, 4, 4) - 2, "without Normalize"),
        (17, "the image is of type int; give a path"),
        (Image.new("RGB", (0, 3)), "no pixels"),
    ],
)
def test_what_is_no_image_is_said_in_one_line(image: object, said: str) -> None:
    with pytest.raises(StreamError, match=said):
        given_square(image, SIDE, LIMITS)


def test_a_damaged_file_behind_a_pillow_image_is_an_unreadable_image(picture: Path) -> None:
    half = Image.open(BytesIO(picture.read_bytes()[:400]))
    with pytest.raises(UnreadableImage, match="damaged image"):
        given_square(half, SIDE, LIMITS)
