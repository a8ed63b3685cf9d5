"""The typefaces that come with matplotlib, and which of them can draw which character."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageFont

# Name to whether only its ASCII part is used: the Computer Modern files map other codes to unrelated glyphs.
_FACES = {
    "DejaVuSans": False,
    "DejaVuSans-Bold": False,
    "DejaVuSans-Oblique": False,
    "DejaVuSans-BoldOblique": False,
    "DejaVuSansMono": False,
    "DejaVuSansMono-Bold": False,
    "DejaVuSansMono-Oblique": False,
    "DejaVuSerif": False,
    "DejaVuSerif-Bold": False,
    "DejaVuSerif-Italic": False,
    "DejaVuSerif-BoldItalic": False,
    "STIXGeneral": False,
    "STIXGeneralBol": False,
    "STIXGeneralItalic": False,
    "STIXGeneralBolIta": False,
    "cmr10": True,
    "cmss10": True,
    "cmti10": True,
    "cmtt10": True,
    "cmb10": True,
}
_PROBE_PIXELS = 40


def drawing_faces(characters: str) -> dict[str, list[Path]]:
    """Return for each of ``characters`` the font files that draw it, and draw none of the others the same.

    A face counts only where its own character map has the character, so that the box for a missing glyph is
    never drawn; blank glyphs do not count.
    """
    faces: dict[str, list[Path]] = {character: [] for character in characters}
    for name, only_ascii in _FACES.items():
        path = _folder() / f"{name}.ttf"
        mapped = _mapped_codes(path)
        shapes = {
            character: _probe(path, character)
            for character in characters
            if ord(character) in mapped and (character.isascii() or not only_ascii)
        }
        seen = Counter(shapes.values())
        for character, shape in shapes.items():
            if shape is not None and seen[shape] == 1:
                faces[character].append(path)
    return faces


def draw_ink(path: Path, character: str, size_pixels: int) -> Image.Image | None:
    """Return the character as a grey mask cropped to its ink (mode L, 255 = ink), None where it has none."""
    font = _font(path, size_pixels)
    mask = font.getmask(character, mode="L")
    width, height = mask.size
    if not width or not height:
        return None
    ink = Image.frombytes("L", (width, height), bytes(mask))
    box = ink.getbbox()
    return ink.crop(box) if box else None


def _probe(path: Path, character: str) -> tuple[tuple[int, int], bytes] | None:
    ink = draw_ink(path, character, _PROBE_PIXELS)
    return None if ink is None else (ink.size, ink.tobytes())


@lru_cache(maxsize=64)
def _font(path: Path, size_pixels: int) -> ImageFont.FreeTypeFont:
    # The basic layout engine is in every Pillow; the other one is optional and may place glyphs differently.
    return ImageFont.truetype(str(path), size_pixels, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=64)
def _mapped_codes(path: Path) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(str(path)).get_charmap())


def _folder() -> Path:
    from matplotlib import get_data_path

    return Path(get_data_path()) / "fonts" / "ttf"
