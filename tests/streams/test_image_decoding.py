import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from continual_dml.errors import UnreadableImage
from continual_dml.settings import StreamSettings
from streams.image_decoding import decode_image, square_pixels

LIMITS = StreamSettings()
RED, GREEN, BLUE = (220, 30, 40), (20, 200, 60), (30, 60, 210)


def encoded(image, image_format="PNG", **options):
    buffer = BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def decoded(data, limits=LIMITS, side=None):
    return decode_image(data, limits, "some/path.jpg", side)


def reason(data, limits=LIMITS):
    with pytest.raises(UnreadableImage) as caught:
        decoded(data, limits)
    assert caught.value.path == "some/path.jpg"
    assert "\n" not in str(caught.value)
    return caught.value.reason


def corners_picture(width=40, height=24):
    """Red top left, green top right, blue bottom left, white bottom right: no two turns look the same."""
    image = Image.new("RGB", (width, height), "white")
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image


def declared_size_png(width, height):
    """A PNG of a few bytes that claims to be enormous."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 100)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_each_format_is_decoded_to_rgb(image_format):
    image = decoded(encoded(Image.new("RGB", (10, 6), RED), image_format))
    assert (image.mode, image.size) == ("RGB", (10, 6))
    np.testing.assert_allclose(np.asarray(image)[3, 5], RED, atol=3)


def test_other_formats_are_refused_although_pillow_knows_them():
    assert "not a JPEG, PNG" in reason(encoded(Image.new("RGB", (4, 4)), "PPM"))


def test_text_named_jpg_is_refused():
    assert "not a JPEG, PNG, WEBP, BMP, GIF or TIFF image" in reason(b"hello, I am no photo\n")


def test_an_empty_file_is_refused():
    assert reason(b"") == "empty file"


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_a_truncated_file_is_refused(image_format):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), image_format)
    assert reason(data[: len(data) // 2])


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
def test_flipped_bytes_give_an_image_or_a_typed_error(image_format):
    data = encoded(corners_picture(), image_format)
    random = np.random.default_rng(1)
    for _ in range(60):
        broken = bytearray(data)
        for position in random.integers(0, len(data), 3):
            broken[position] ^= int(random.integers(1, 256))
        try:
            assert decoded(bytes(broken)).mode == "RGB"
        except UnreadableImage as error:
            assert error.reason  # either outcome is right, any other exception is not


def test_a_bomb_is_refused_before_it_is_decoded():
    assert "limit of 40,000,000" in reason(declared_size_png(9000, 9000))
    assert "more pixels than is safe" in reason(declared_size_png(60_000, 60_000))


def test_pillows_own_warning_is_an_error_even_where_the_setting_allows_more():
    generous = StreamSettings(max_pixels=10**12)
    assert "more pixels than is safe" in reason(declared_size_png(10_000, 10_000), generous)


def test_a_file_of_too_many_bytes_is_refused():
    data = encoded(corners_picture())
    assert f"limit of {len(data) - 1:,}" in reason(data, StreamSettings(max_file_bytes=len(data) - 1))


def test_16_bit_grey_is_scaled_and_not_clipped():
    ramp = np.linspace(0, 65535, 64, dtype=np.uint16).reshape(8, 8)
    grey = np.asarray(decoded(encoded(Image.fromarray(ramp))))[..., 0]
    np.testing.assert_allclose(grey, ramp / 257.0, atol=0.51)


def test_integer_and_float_tiffs_use_the_range_that_they_have():
    ramp = np.linspace(-500, 1500, 64).reshape(8, 8)
    for values in (ramp.astype(np.int32), ramp.astype(np.float32)):
        grey = np.asarray(decoded(encoded(Image.fromarray(values), "TIFF")))[..., 0]
        np.testing.assert_allclose(grey, (ramp + 500) / 2000 * 255, atol=1.0)


def test_floats_between_zero_and_one_keep_their_brightness():
    flat = np.full((4, 4), 0.25, dtype=np.float32)
    assert np.asarray(decoded(encoded(Image.fromarray(flat), "TIFF")))[0, 0].tolist() == [64, 64, 64]


def test_a_cmyk_jpeg_shows_its_colours():
    data = encoded(Image.new("RGB", (16, 16), RED).convert("CMYK"), "JPEG", quality=95)
    np.testing.assert_allclose(np.asarray(decoded(data))[8, 8], RED, atol=8)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparent_parts_show_white(mode):
    image = Image.new("RGBA", (4, 2), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 2, 2))
    data = encoded(image.convert(mode), "TIFF" if mode == "PA" else "PNG")
    assert np.asarray(decoded(data))[0].tolist() == [[0, 0, 0]] * 2 + [[255, 255, 255]] * 2


def test_a_palette_image_with_transparency_shows_white_and_its_colours():
    image = Image.new("P", (4, 2), 1)
    image.putpalette([9, 9, 9, *RED])
    image.paste(0, (2, 0, 4, 2))
    for transparency in (0, b"\0\xff"):
        row = np.asarray(decoded(encoded(image, transparency=transparency)))[0]
        assert row.tolist() == [list(RED)] * 2 + [[255, 255, 255]] * 2


def test_bilevel_and_grey_images_become_rgb():
    assert np.asarray(decoded(encoded(Image.new("1", (3, 3), 1)))).max() == 255
    assert np.asarray(decoded(encoded(Image.new("L", (3, 3), 77))))[0, 0].tolist() == [77, 77, 77]


def test_only_the_first_frame_of_an_animation_is_taken():
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN, BLUE)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(np.asarray(decoded(data))[4, 4], RED, atol=3)


# What a camera held in that position stores, so that the tag's meaning (EXIF 2.3) gives the upright picture.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", STORED)
def test_all_eight_orientations_are_turned_upright(orientation, image_format):
    upright = corners_picture()
    turn = STORED[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"PNG": {}, "TIFF": {}, "WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}
    image = decoded(encoded(stored, image_format, exif=exif, **options[image_format]))
    assert image.size == upright.size
    np.testing.assert_allclose(np.asarray(image, int), np.asarray(upright, int), atol=4)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_metadata_does_not_spoil_a_photo():
    data = encoded(corners_picture(), "JPEG", exif=b"Exif\0\0" + b"II*\0\xff\xff\xff\x7f")
    assert decoded(data).size == (40, 24)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_big_jpeg_is_decoded_near_the_needed_size(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(corners_picture(1600, 1000), "JPEG", quality=95, exif=exif)
    full, near = decoded(data), decoded(data, side=100)
    assert full.size == ((1600, 1000) if orientation == 1 else (1000, 1600))
    assert min(near.size) == 250  # a quarter; an eighth would be below twice the side
    fast = square_pixels(near, 100).astype(int)
    exact = square_pixels(full, 100).astype(int)
    assert np.abs(fast - exact).mean() < 1.0


def test_a_small_jpeg_keeps_its_size():
    assert decoded(encoded(corners_picture(), "JPEG"), side=100).size == (40, 24)


def test_the_centre_square_is_cut_out_of_a_wide_and_a_tall_picture():
    wide = Image.new("RGB", (30, 10), BLUE)
    wide.paste(RED, (10, 0, 20, 10))
    for image in (wide, wide.transpose(Image.Transpose.ROTATE_90)):
        pixels = square_pixels(image, 5)
        assert pixels.shape == (5, 5, 3)
        assert pixels.dtype == np.uint8
        np.testing.assert_allclose(pixels[1:-1, 1:-1].astype(int) - RED, 0, atol=2)
        np.testing.assert_allclose(pixels.mean((0, 1)), RED, atol=8)  # the filter sees a little of the edge


@pytest.mark.parametrize("side", [31, 60, 61, 100, 180])
def test_a_square_is_resized_as_pillow_would_to_a_shade(side):
    noise = np.random.default_rng(0).integers(0, 256, (15, 20, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize((160, 120), Image.Resampling.BILINEAR)
    by_pillow = picture.crop((20, 0, 140, 120)).resize((side, side), Image.Resampling.BICUBIC)
    pixels = square_pixels(picture, side)
    assert pixels.flags.writeable
    assert np.abs(pixels.astype(int) - np.asarray(by_pillow)).max() <= 2


def test_a_far_larger_picture_is_reduced_by_pillow_first():
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    square = Image.fromarray(noise).crop((20, 0, 140, 120))
    expected = np.asarray(square.resize((30, 30), Image.Resampling.BICUBIC, reducing_gap=2.0))
    np.testing.assert_array_equal(square_pixels(Image.fromarray(noise), 30), expected)


def test_a_square_of_the_right_size_is_not_resampled():
    noise = np.random.default_rng(0).integers(0, 256, (12, 17, 3), dtype=np.uint8)
    np.testing.assert_array_equal(square_pixels(Image.fromarray(noise), 12), noise[:, 2:14])


def test_shrinking_averages_instead_of_picking_pixels():
    checkerboard = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    pixels = square_pixels(Image.fromarray(checkerboard).convert("RGB"), 8)
    assert np.abs(pixels.astype(int) - 127).max() <= 2


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2)])
def test_tiny_and_thin_pictures_fill_the_square(size):
    assert (square_pixels(Image.new("RGB", size, GREEN), 16) == GREEN).all()
