"""The embedded demo stream: written characters as image categories, rendered on the spot, no download."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from continual_dml.errors import SettingsError, StreamError, UnknownChoice
from streams.glyph_alphabets import GLYPH_TASKS, category_name
from streams.glyph_faces import drawing_faces
from streams.glyph_rendering import render_glyph

__all__ = ["GLYPH_TASKS", "render_task"]

_SMALLEST_SIDE = 16


def render_task(
    task_name: str,
    destination: Path,
    categories: int | None,
    samples_per_category: int,
    side_pixels: int = 64,
    seed: int = 0,
) -> int:
    """Write ``destination/<category>/<number>.png`` for one of ``GLYPH_TASKS``.

    Each picture depends on the seed, its character and its number alone: asking for more categories or
    samples leaves those that were there as they are.

    Args:
        task_name: key of ``GLYPH_TASKS``.
        destination: task folder, made if missing; files of the same name are replaced.
        categories: how many characters, from the first; None for all.
        samples_per_category: pictures of each character.
        side_pixels: side of the pictures.
        seed: of everything random.

    Returns:
        The number of pictures written.

    Raises:
        UnknownChoice: no such task.
        SettingsError: a number that cannot work.
        StreamError: the folder cannot be written.
    """
    if task_name not in GLYPH_TASKS:
        raise UnknownChoice("glyph task", task_name, GLYPH_TASKS)
    alphabet = GLYPH_TASKS[task_name]
    wanted = len(alphabet) if categories is None else categories
    if not 1 <= wanted <= len(alphabet):
        raise SettingsError(
            f"glyph task '{task_name}' cannot give {wanted} categories; ask for 1 to {len(alphabet)}"
        )
    if samples_per_category < 1 or side_pixels < _SMALLEST_SIDE or seed < 0:
        raise SettingsError(
            f"{samples_per_category} samples of {side_pixels} pixels with seed {seed} cannot be rendered; "
            f"use at least 1 sample, {_SMALLEST_SIDE} pixels and seed 0"
        )
    faces = drawing_faces(alphabet)
    try:
        for character in alphabet[:wanted]:
            folder = destination / category_name(character)
            folder.mkdir(parents=True, exist_ok=True)
            for sample in range(samples_per_category):
                random = np.random.default_rng([seed, ord(character), sample])
                pixels = render_glyph(character, faces[character], side_pixels, random)
                Image.fromarray(pixels).save(folder / f"{sample:04d}.png")
    except OSError as error:
        raise StreamError(f"cannot write glyphs to {destination}: {error.strerror or error}") from error
    return wanted * samples_per_category
