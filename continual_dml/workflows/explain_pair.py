"""Which regions of an image make it similar to another one: cover them, and see what similarity is lost.

Nothing is assumed of the network, so this holds for any backbone, head and cohort (occlusion, Zeiler and
Fergus 2014, section 4.2, with the cosine to the other image in the place of a class score).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From squares (N, S, S, 3) uint8 to unit vectors (N, D)."""

CELLS = 7
"""Rows and columns of a map."""
_REACH = 0.5
"""A cover reaches so many cells beyond the cell in its middle, to each side: single cells hide too little."""


class SimilarityMap(NamedTuple):
    """``similarity``: cosine of the two images; ``lost`` (CELLS, CELLS): what covering each region costs."""

    similarity: float
    lost: NDArray[np.float32]


def similarity_map(embed: Embed, square: NDArray[np.uint8], other: NDArray[np.float32]) -> SimilarityMap:
    """Return how much of the cosine to ``other`` is lost when a region of ``square`` is covered.

    Above 0 where a region makes the two similar, below 0 where it sets them apart. The cover has the mean
    colour of the image.

    Args:
        embed: of the model that is asked.
        square: (S, S, 3).
        other: unit vector (D,) of the other image.
    """
    vectors = embed(np.concatenate([square[None], covered(square)]))
    similarities = vectors @ other
    lost = similarities[0] - similarities[1:]
    return SimilarityMap(float(similarities[0]), lost.reshape(CELLS, CELLS).astype(np.float32))


def covered(square: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return copies (CELLS * CELLS, S, S, 3) of an image, each with another region covered, row by row."""
    side = len(square)
    copies = np.repeat(square[None], CELLS * CELLS, axis=0)
    colour = square.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    for number, copy in enumerate(copies):
        row, column = divmod(number, CELLS)
        copy[_extent(row, side), _extent(column, side)] = colour
    return copies


def _extent(cell: int, side: int) -> slice:
    """Return the pixels that the cover of a cell takes up along one axis."""
    step = side / CELLS
    return slice(max(0, round((cell - _REACH) * step)), min(side, round((cell + 1 + _REACH) * step)))
