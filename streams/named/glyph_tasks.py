"""The glyphs as a stream: every written character a category, drawn on the spot."""

from __future__ import annotations

from pathlib import Path

from streams.glyphs import GLYPH_TASKS, render_task

GLYPH_SAMPLES = 20
_SMALLEST_SIDE = 16


def render_glyphs(folder: Path, side_pixels: int, seed: int, samples: int = GLYPH_SAMPLES) -> None:
    """Draw ``folder/<task>/<character>/*.png`` for all glyph tasks.

    Args:
        folder: made if missing.
        side_pixels: of the pictures; 16 at least are drawn.
        seed: of everything random.
        samples: pictures of each character.

    Raises:
        StreamError: the folder cannot be written.
    """
    for task in GLYPH_TASKS:
        render_task(task, folder / task, None, samples, max(side_pixels, _SMALLEST_SIDE), seed)
