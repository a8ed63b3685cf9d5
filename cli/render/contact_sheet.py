"""A picture of search results: queries on the left, neighbours on the right, framed by whether they match."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image, ImageColor, ImageDraw, ImageFont

from cli.shell import printable
from continual_dml.errors import CdmlError, SettingsError, UnreadableImage
from continual_dml.settings import StreamSettings
from streams.image_reader import read_image

if TYPE_CHECKING:
    from cli.searching import Answer, Hit
    from continual_dml.verdicts import Verdict

TILE, FRAME, GAP, CAPTION, MARGIN, LEGEND = 120, 4, 16, 40, 28, 34
PER_LINE, MOST_QUERIES = 10, 40
PALENESS = 0.65
PAPER, INK, FAINT, LINE, BLANK = "#ffffff", "#1f2328", "#656d76", "#d8dee4", "#eef1f4"
RIGHT, WRONG, NEUTRAL = "#2da44e", "#d1242f", "#8c959f"


class _Tile(NamedTuple):
    """A picture to draw: where its file is, its SHA-256 or None, its frame and its two lines of caption.

    ``pale``: drawn as what is not meant to be looked at first.
    """

    path: str
    content_hash: str | None
    frame: str
    title: str
    detail: str
    pale: bool = False


def check_destination(path: Path) -> None:
    """Find out before the search that the picture cannot be written.

    Raises:
        SettingsError: no .png name, or no such folder.
    """
    if path.suffix.lower() != ".png":
        raise SettingsError(f"--sheet {path}: the picture is a PNG; give a name that ends in .png")
    if not path.absolute().parent.is_dir():
        raise SettingsError(f"--sheet {path}: there is no folder {path.parent}; make it first")


def folder_categories(answer: Answer) -> list[str | None]:
    """Return each query's category: its folder's name, where the gallery knows a category of that name."""
    names = [unicodedata.normalize("NFC", Path(path).absolute().parent.name) for path, _ in answer.queries]
    return [name if name in answer.categories else None for name in names]


def write_contact_sheet(
    destination: Path, answer: Answer, categories: Sequence[str | None], limits: StreamSettings
) -> None:
    """Draw the answer as a PNG.

    Args:
        destination: file to write.
        answer: queries with their neighbours; the first 40 queries are drawn.
        categories: of the queries, None where unknown; decides green and red.
        limits: largest file and image to open.

    Raises:
        CdmlError: the file cannot be written.
    """
    rows = list(zip(answer.queries, categories, strict=True))[:MOST_QUERIES]
    most = max((len(hits) for (_, hits), _ in rows), default=0)
    columns = 1 + min(max(most, 1), PER_LINE)
    lines = -(-max(most, 1) // PER_LINE)
    row_height = lines * (TILE + CAPTION + GAP) + GAP
    width = 2 * MARGIN + columns * (TILE + GAP) + GAP
    sheet = Image.new("RGB", (width, 2 * MARGIN + LEGEND + len(rows) * row_height), PAPER)
    draw = ImageDraw.Draw(sheet)
    _draw_legend(draw)
    for number, ((path, hits), category) in enumerate(rows):
        verdict = answer.verdicts[number] if answer.verdicts else None
        pale = verdict is not None and verdict.match is False
        top = MARGIN + LEGEND + number * row_height
        if number:
            draw.line([(MARGIN, top - GAP), (width - MARGIN, top - GAP)], fill=LINE)
        _draw_tile(sheet, (MARGIN, top), _query_tile(path, category, verdict), limits)
        for position, hit in enumerate(hits):
            line, column = divmod(position, PER_LINE)
            left = MARGIN + 2 * GAP + TILE + column * (TILE + GAP)
            corner = (left, top + line * (TILE + CAPTION + GAP))
            _draw_tile(sheet, corner, _hit_tile(position + 1, hit, category, pale=pale), limits)
    _save(sheet, destination)


def _query_tile(path: str, category: str | None, verdict: Verdict | None) -> _Tile:
    return _Tile(path, None, INK, category or Path(path).name, _verdict_text(verdict))


def _verdict_text(verdict: Verdict | None) -> str:
    if verdict is not None and verdict.match is False:
        return "no match" if verdict.threshold is None else f"no match below {verdict.threshold:.3f}"
    if verdict is not None and verdict.confidence is not None:
        return f"confidence {verdict.confidence:.2f}"
    return "asked with"


def _hit_tile(rank: int, hit: Hit, category: str | None, *, pale: bool) -> _Tile:
    frame = NEUTRAL if category is None else RIGHT if hit.item.category == category else WRONG
    detail = f"{rank}.  {hit.similarity:.3f}"
    return _Tile(hit.item.path, hit.item.content_hash, frame, hit.item.category, detail, pale)


def _draw_legend(draw: ImageDraw.ImageDraw) -> None:
    font, left = _font("DejaVuSans", 13), MARGIN
    for colour, text in (
        (INK, "query"),
        (RIGHT, "same category"),
        (WRONG, "another category"),
        (NEUTRAL, "category of the query not known"),
    ):
        draw.rectangle([left, MARGIN - 8, left + 14, MARGIN + 6], outline=colour, width=3)
        draw.text((left + 22, MARGIN - 1), text, fill=FAINT, font=font, anchor="lm")
        left += 22 + round(font.getlength(text)) + 28
    draw.text((left, MARGIN - 1), "numbers: rank and cosine similarity", fill=FAINT, font=font, anchor="lm")


def _draw_tile(sheet: Image.Image, corner: tuple[int, int], tile: _Tile, limits: StreamSettings) -> None:
    draw, (left, top) = ImageDraw.Draw(sheet), corner
    inner = TILE - 2 * FRAME
    picture = _picture(tile, inner, limits)
    frame, ink = (_paled(tile.frame), FAINT) if tile.pale else (tile.frame, INK)
    draw.rectangle([left, top, left + TILE - 1, top + TILE - 1], fill=BLANK, outline=frame, width=FRAME)
    if picture is not None:
        if tile.pale:
            picture = Image.blend(picture, Image.new("RGB", picture.size, PAPER), PALENESS)
        sheet.paste(picture, (left + FRAME, top + FRAME))
    else:
        middle = (left + TILE // 2, top + TILE // 2)
        draw.text(middle, "file is gone", fill=FAINT, font=_font("DejaVuSans", 11), anchor="mm")
    title_font = _font("DejaVuSans-Bold", 11)
    below = top + TILE + 6
    draw.text((left, below), _fitted(printable(tile.title), title_font, TILE), fill=ink, font=title_font)
    draw.text((left, below + 16), tile.detail, fill=FAINT, font=_font("DejaVuSans", 11))


def _paled(colour: str) -> str:
    """Return a colour as it is on a pale tile."""
    mixed = zip(ImageColor.getrgb(colour), ImageColor.getrgb(PAPER), strict=True)
    return "#" + "".join(f"{round(old + (new - old) * PALENESS):02x}" for old, new in mixed)


def _picture(tile: _Tile, side: int, limits: StreamSettings) -> Image.Image | None:
    """Return the picture of a tile, None where its file is gone or holds something else by now."""
    named_by_user = tile.content_hash is None
    try:
        image = read_image(
            tile.path, side, limits, expected_hash=tile.content_hash, follow_symlinks=named_by_user
        )
    except UnreadableImage:
        return None
    return Image.fromarray(image.pixels)


def _fitted(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Return ``text``, its middle left out where it is too wide: beginnings and ends tell names apart."""
    if font.getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        short = f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"
        if font.getlength(short) <= width:
            return short
    return "…"


def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf", size)


def _save(sheet: Image.Image, destination: Path) -> None:
    content = io.BytesIO()
    sheet.save(content, "PNG")
    try:
        destination.write_bytes(content.getvalue())
    except OSError as error:
        reason = error.strerror or error
        raise CdmlError(f"cannot write the contact sheet to {destination}: {reason}") from error
