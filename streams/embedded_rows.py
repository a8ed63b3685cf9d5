"""Rows of a file whose images were embedded elsewhere, as they stand there: untrusted, not judged yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import StreamError
from continual_dml.interchange import ModelCard
from continual_dml.settings import StreamSettings

NEEDED = ("path", "category")
OPTIONAL = ("content_hash", "role", "state")
EMBEDDINGS = ("embedding", "vector")
"""What the exported model calls it, and what an exported gallery does."""
MOST_BYTES = 8 << 30
_MOST_DIMENSION = 1 << 20

Texts = dict[str, list[str | None]]


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedRows:
    """``texts`` by column, each with N values or None; ``features`` (N, F), ``embeddings`` (N, D) in float32.

    A row without a feature has numbers in ``features`` that are not finite.
    """

    texts: Texts
    features: NDArray[np.float32]
    embeddings: NDArray[np.float32] | None
    card: ModelCard | None


def require_columns(names: set[str], path: Path) -> None:
    """Accept a file that has the columns that an import needs.

    Raises:
        StreamError: it has not; a file of vectors alone is told why they are not enough.
    """
    if "feature" not in names and names & set(EMBEDDINGS):
        raise StreamError(
            f"{path} has vectors but no column 'feature': vectors of another model cannot be compared with "
            "this workspace's, and its own could not be carried to its next model; embed the images with the "
            "model of `cdml export FILE.onnx`, whose second output is the feature"
        )
    missing = [name for name in (*NEEDED, "feature") if name not in names]
    if missing:
        raise StreamError(f"{path} has no column '{missing[0]}': path, category and feature are needed")


def require_room(rows: int, dimension: int, limits: StreamSettings, path: Path) -> None:
    """Accept a table of so many rows and numbers in each.

    Raises:
        StreamError: it is larger than the limits, or empty.
    """
    if rows == 0:
        raise StreamError(f"{path} has no rows")
    if rows > limits.max_files:
        raise StreamError(f"{path} has {rows:,} rows, more than max_files = {limits.max_files:,}; split it")
    if not 0 < dimension <= _MOST_DIMENSION:
        raise StreamError(f"{path}: rows of {dimension:,} numbers are no features")
    if rows * dimension * 4 > MOST_BYTES:
        raise StreamError(f"{path}: {rows:,} rows of {dimension:,} numbers are more than 8 GiB; split it")


def card_from(text: str | bytes | None, path: Path) -> ModelCard | None:
    """Return which model a file says it is of; None where it says nothing.

    Raises:
        StreamError: what it says cannot be understood.
    """
    if text is None:
        return None
    try:
        return ModelCard.from_text(text)
    except (ValueError, RecursionError) as error:
        raise StreamError(
            f"{path}: what it says of its model cannot be read ({error}); export the model again, and take "
            "over its metadata 'cdml' as it is"
        ) from error


def as_float32(numbers: NDArray[Any]) -> NDArray[np.float32]:
    """Return numbers in 32 bits; what is too large for them is not finite there."""
    with np.errstate(over="ignore", invalid="ignore"):
        return numbers.astype(np.float32)
