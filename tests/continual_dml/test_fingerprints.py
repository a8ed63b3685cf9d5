"""Fingerprints: copies lie within a few bits, other pictures far away, and the search misses nothing."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance
from scipy.fft import dctn

from continual_dml import fingerprints
from continual_dml.fingerprints import BITS, NEAR_BITS, bits_apart, fingerprint, is_plain, nearest
from streams.image_decoding import square_pixels

SIDE = 72


def picture(seed: int, width: int = 160, height: int = 120) -> Image.Image:
    """A picture with detail at every scale, as photos have: random blocks, coarse ones stronger."""
    random = np.random.default_rng(seed)
    pixels = np.zeros((height, width, 3))
    for blocks in (2, 4, 8, 16, 32, 64):
        layer = Image.fromarray(random.integers(0, 256, (blocks, blocks, 3), dtype=np.uint8))
        pixels += np.asarray(layer.resize((width, height), Image.Resampling.BICUBIC)) / np.sqrt(blocks)
    return Image.fromarray((255 * (pixels - pixels.min()) / np.ptp(pixels)).astype(np.uint8))


def code(image: Image.Image) -> np.ndarray:
    return fingerprint(square_pixels(image.convert("RGB"), SIDE))


def saved(image: Image.Image, kind: str, **options: object) -> Image.Image:
    file = BytesIO()
    image.save(file, kind, **options)
    return Image.open(file)


COPIES = {
    "JPEG": lambda image: saved(image, "JPEG", quality=50),
    "WEBP": lambda image: saved(image, "WEBP", quality=50),
    "half as large": lambda image: image.resize((image.width // 2, image.height // 2)),
    "twice as large": lambda image: image.resize((image.width * 2, image.height * 2)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.1),
    "without colour": lambda image: image.convert("L"),
    "trimmed": lambda image: image.crop((1, 1, image.width - 1, image.height - 1)),
}


@pytest.mark.parametrize("change", COPIES)
def test_a_copy_is_near_its_original(change: str) -> None:
    apart = [int(bits_apart(code(picture(seed)), code(COPIES[change](picture(seed))))) for seed in range(6)]
    assert max(apart) <= NEAR_BITS


def test_different_pictures_differ_in_about_half_of_the_bits() -> None:
    codes = np.stack([code(picture(seed)) for seed in range(12)])
    apart = bits_apart(codes[:, None], codes[None])[np.triu_indices(12, 1)]
    assert apart.min() > 2 * NEAR_BITS
    assert abs(apart.mean() - BITS / 2) < 10


def test_a_fingerprint_is_the_signs_of_the_lowest_frequencies() -> None:
    square = square_pixels(picture(1), SIDE)
    luma = square @ np.array([0.299, 0.587, 0.114])
    lowest = dctn(luma, norm="ortho")[1:17, 1:17]
    expected = np.packbits(lowest > np.median(lowest)).tobytes()
    assert fingerprint(square).astype("<u8").tobytes() == expected


def test_pictures_too_plain_to_compare_are_near_nothing_not_even_each_other() -> None:
    white = np.full((SIDE, SIDE, 3), 255, dtype=np.uint8)
    stripes = white.copy()
    stripes[::4] = 0
    codes = np.stack([fingerprint(white), fingerprint(stripes), code(picture(1))])
    assert is_plain(codes).tolist() == [True, True, False]
    rows, _ = nearest(codes, codes)
    assert rows.tolist() == [-1, -1, 2]


def scattered(seed: int, count: int) -> np.ndarray:
    """Codes in tight clusters, so that many are near one another."""
    random = np.random.default_rng(seed)
    centres = random.integers(0, 2**64, (3, 4), dtype=np.uint64)
    codes = centres[random.integers(0, 3, count)]
    for _ in range(30):
        word = random.integers(0, 4, count)
        bit = np.left_shift(np.uint64(1), random.integers(0, 64, count).astype(np.uint64))
        flipped = random.random(count) < 0.8
        codes[np.flatnonzero(flipped), word[flipped]] ^= bit[flipped]
    return codes


def slow_nearest(codes: np.ndarray, known: np.ndarray, candidates: list[int]) -> list[tuple[int, int]]:
    """The explicit loop: (row, bits apart) of the nearest within the limit, the first of equal ones."""
    found = []
    for one, most in zip(codes.tolist(), candidates, strict=True):
        best = (-1, BITS + 1)
        for row, other in enumerate(known.tolist()[:most]):
            apart = sum((a ^ b).bit_count() for a, b in zip(one, other, strict=True))
            if any(one) and any(other) and apart <= NEAR_BITS and apart < best[1]:
                best = (row, apart)
        found.append(best)
    return found


def pairs(found: tuple[np.ndarray, np.ndarray]) -> list[tuple[int, int]]:
    rows, apart = found
    return list(zip(rows.tolist(), apart.tolist(), strict=True))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(0, 40), at_once=st.integers(1, 50))
def test_the_search_finds_what_comparing_one_by_one_finds(seed: int, count: int, at_once: int) -> None:
    codes = scattered(seed, count)
    codes[::7] = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fingerprints, "_AT_ONCE", at_once)
        everywhere = nearest(codes[:10], codes[5:])
        before = nearest(codes, codes, np.arange(count))
    wide = [len(codes[5:])] * len(codes[:10])
    assert pairs(everywhere) == slow_nearest(codes[:10], codes[5:], wide)
    assert pairs(before) == slow_nearest(codes, codes, list(range(count)))
