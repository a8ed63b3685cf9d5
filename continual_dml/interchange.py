"""What leaves the workspace in files of other tools, and may come back: which model it belongs to.

Features of two models cannot be compared, so a file says whose they are: as :class:`ModelCard`, one JSON text
under the key :data:`CARD_KEY` (ONNX, PyTorch, Parquet) or in the array of that name (NumPy).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from continual_dml.records import LoadedTask

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
FORMAT_VERSION = 1
CARD_KEY = "cdml"
METRIC = "cosine similarity: the inner product of unit vectors, larger is closer"
TEXT_COLUMNS = ("category", "task", "role", "path", "content_hash", "state")


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Which model made vectors and features, and what a picture must become before it is shown to it.

    ``model_sha256``: of all weights and of what decides features, so that it stays the same while images are
    added, deleted or refreshed; ``head_sha256``: of what makes vectors of features; ``manifest_sha256``: of
    the very ``generation``. ``feature_dimension`` F is that of a whole cohort. ``stored_side_pixels``: side S
    of the squares that the model takes, of which the network sees the middle ``image_side_pixels``.
    """

    generation: int
    manifest_sha256: str
    model_sha256: str
    head_sha256: str
    backbones: tuple[str, ...]
    embedding_dimension: int
    feature_dimension: int
    stored_side_pixels: int
    image_side_pixels: int
    cdml_version: str

    def as_text(self, extra: Mapping[str, Any] | None = None) -> str:
        """Return the JSON text that files carry, with ``extra`` keys beside the card's own."""
        document = {"format_version": FORMAT_VERSION, **asdict(self), "metric": METRIC, **(extra or {})}
        return json.dumps(document, sort_keys=True)

    @classmethod
    def from_text(cls, text: str | bytes) -> ModelCard:
        """Return the card of a text, whoever wrote it.

        Raises:
            ValueError: it is none; a newer format is none either.

        >>> card = ModelCard(3, "a", "b", "c", ("conv4",), 16, 576, 36, 32, "0.1")
        >>> ModelCard.from_text(card.as_text({"rows": 7})) == card
        True
        """
        document = json.loads(text)
        if not isinstance(document, dict) or document.get("format_version") != FORMAT_VERSION:
            raise ValueError(f"not of format version {FORMAT_VERSION}")
        values: dict[str, Any] = {}
        for field in fields(cls):
            value = document.get(field.name)
            if field.name == "backbones":
                if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
                    raise ValueError("no list of backbones")
                values[field.name] = tuple(value)
            elif type(value) is not (int if field.type == "int" else str):
                raise ValueError(f"no {field.name}")
            else:
                values[field.name] = value
        return cls(**values)


def preparation(card: ModelCard) -> dict[str, Any]:
    """Return what is to be done to a picture before ``card``'s model sees it, in words and in steps.

    As :mod:`streams.image_decoding` does it.
    """
    side, seen = card.stored_side_pixels, card.image_side_pixels
    return {
        "words": (
            "Decode the first frame, turn it upright by its EXIF orientation, make it RGB. Take the largest "
            f"square from the middle and resize it to {side} x {side} pixels, bicubic and antialiased. Give "
            "these bytes to the model as uint8, height x width x 3. All else is inside: it looks at the "
            f"middle {seen} x {seen} pixels and normalises them by ImageNet's mean and standard deviation."
        ),
        "outside": [
            {"step": "decode", "frame": 0, "mode": "RGB", "exif_orientation": "applied"},
            {"step": "crop", "area": "largest centred square"},
            {"step": "resize", "width": side, "height": side, "filter": "bicubic", "antialias": True,
             "pillow_reducing_gap": 2.0},
        ],
        "inside": [
            {"step": "crop", "area": "centre", "width": seen, "height": seen},
            {"step": "normalise", "mean": IMAGENET_MEAN, "standard_deviation": IMAGENET_STD, "of": 1.0},
        ],
    }  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedTask:
    """Images that were embedded elsewhere: row i of the arrays belongs to ``task.records[i]``.

    ``task`` has no pixels. ``features`` (N, F) float32 are finite; ``embeddings`` (N, D) float32 are what the
    other side made of them, None where it says nothing; ``card`` is None where the file names no model.
    """

    task: LoadedTask
    features: NDArray[np.float32]
    embeddings: NDArray[np.float32] | None
    card: ModelCard | None
