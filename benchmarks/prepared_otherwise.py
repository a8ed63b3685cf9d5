"""How far a feature moves when it is computed, or its picture prepared, in another way than a workspace does.

Says what the tolerance of ``cdml import-embeddings`` lets pass and what it notices
(``continual_dml.workflows.import_features.TYPICAL`` and ``FARTHEST``).

    python -m benchmarks.prepared_otherwise PHOTOS.zip WEIGHTS.safetensors
"""

from __future__ import annotations

import argparse
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from safetensors.numpy import load_file

from continual_dml.embedding.embedder import Embedder, build_embedder
from continual_dml.embedding.extract import extract
from continual_dml.embedding.precision import Compute
from continual_dml.settings import ModelSettings, StreamSettings
from continual_dml.workflows.import_features import FARTHEST, TYPICAL
from streams.image_decoding import decode_image, square_pixels

PHOTOS = 64
_CPU = torch.device("cpu")
Prepare = Callable[[bytes, int], Image.Image]


def main() -> None:
    """Print, for each way, the median and the largest distance as a share of the feature's length."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("weights", type=Path)
    given = parser.parse_args()
    with zipfile.ZipFile(given.photos) as archive:
        names = [name for name in sorted(archive.namelist()) if name.lower().endswith((".jpg", ".jpeg"))]
        photos = [archive.read(name) for name in names[:: max(1, len(names) // PHOTOS)][:PHOTOS]]
    embedder = build_embedder(ModelSettings(), load_file(given.weights), 0).eval()
    side = embedder.settings.stored_side_pixels
    ours = np.stack([_ours(photo, side) for photo in photos])
    exact = _features(embedder, ours, bf16=False)
    print(
        f"{len(photos)} photos, mobilenet_v2, tolerance {TYPICAL:.0%} in the median, {FARTHEST:.0%} at most"
    )
    _tell("bfloat16", exact, _features(embedder, ours, bf16=True))
    _tell("stored in 16 bits", exact, exact.astype(np.float16).astype(np.float32))
    for what, prepare in _OTHERWISE.items():
        others = np.stack([np.asarray(prepare(photo, side)) for photo in photos])
        _tell(what, exact, _features(embedder, others, bf16=False))


def _ours(photo: bytes, side: int) -> NDArray[np.uint8]:
    return square_pixels(decode_image(photo, StreamSettings(), "photo", side), side)


def _features(embedder: Embedder, squares: NDArray[np.uint8], *, bf16: bool) -> NDArray[np.float32]:
    return extract(embedder, squares, Compute(_CPU, bf16)).features


def _tell(what: str, exact: NDArray[np.float32], other: NDArray[np.float32]) -> None:
    distances = np.linalg.norm(other - exact, axis=1) / np.linalg.norm(exact, axis=1)
    print(f"{what:44} median {np.median(distances):6.1%}  largest {distances.max():6.1%}")


def _upright(photo: bytes) -> Image.Image:
    return decode_image(photo, StreamSettings(), "photo")  # at full size


def _middle(image: Image.Image) -> Image.Image:
    short = min(image.size)
    return ImageOps.fit(image, (short, short), Image.Resampling.NEAREST)


_OTHERWISE: dict[str, Prepare] = {
    "decoded at full size": lambda photo, side: _middle(_upright(photo)).resize(
        (side, side), Image.Resampling.BICUBIC
    ),
    "bilinear": lambda photo, side: _middle(_upright(photo)).resize((side, side), Image.Resampling.BILINEAR),
    "squeezed, not cropped": lambda photo, side: _upright(photo).resize(
        (side, side), Image.Resampling.BICUBIC
    ),
    "not antialiased": lambda photo, side: _middle(_upright(photo)).resize(
        (side, side), Image.Resampling.NEAREST
    ),
    "the middle 224 of 256 enlarged": lambda photo, side: (
        _middle(_upright(photo)).resize((256, 256)).crop((16, 16, 240, 240)).resize((side, side))
    ),
}


if __name__ == "__main__":
    main()
