"""JPEG files of 0.2 megapixels to normalised batches, against a DataLoader with Pillow and torchvision.

Ours is what an ingest does: every file is read once, hashed, and decoded from the same bytes to the stored
square, of which the network sees the middle. The peer's photos are resized to the same size. They resize
bilinearly, as torchvision does unless it is told otherwise, ours bicubically.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.peer_photos import BATCH, TRANSFORMS, PhotoFiles, loader
from benchmarks.photos import make_photos
from benchmarks.side_by_side.answers import mean_apart
from benchmarks.side_by_side.rows import Arm, Row, Sizes, Target, Work

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

PART_IMAGES = 256
"""Photos that ours reads at a time, as in an ingest."""
COMPARED = 16
"""Photos whose tensors are compared."""
APART = 0.1
"""Mean difference of normalised values that two ways to resize may have: 6 of 256 shades."""


def prepare(folder: Path, sizes: Sizes) -> None:
    """Make the photos."""
    make_photos(folder, sizes["photos"], sizes["megapixels"])


def ours(folder: Path, sizes: Sizes) -> Work:
    """The reader of an ingest, and the view of the network."""
    import torch

    from continual_dml.embedding.freed_memory import freed_memory_kept
    from continual_dml.embedding.preprocessing import centre_crop, normalised
    from continual_dml.settings import StreamSettings
    from streams.image_reader import ThreadedImageReader

    paths, cpu = photo_paths(folder), torch.device("cpu")
    reader = ThreadedImageReader(sizes["stored"], StreamSettings())

    def batches() -> Iterator[torch.Tensor]:
        for start in range(0, len(paths), PART_IMAGES):
            pixels, _ = reader.read(paths[start : start + PART_IMAGES])
            for first in range(0, len(pixels), BATCH):
                yield normalised(centre_crop(pixels[first : first + BATCH], sizes["side"]), cpu)

    def run() -> dict[str, torch.Tensor]:
        with freed_memory_kept():
            return looked_at(batches())

    return Work(run, amount=len(paths))


def peer(folder: Path, sizes: Sizes) -> Work:
    """A DataLoader with two workers."""
    paths = photo_paths(folder)
    transform = TRANSFORMS["best" if sizes["best"] else "usual"](sizes["stored"], sizes["side"])
    photos = PhotoFiles(paths, transform, 2 * sizes["stored"] if sizes.get("draft") else None)
    return Work(lambda: looked_at(loader(photos, best=sizes["best"])), amount=len(paths))


def looked_at(batches: Iterator[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Take all batches; return the first photos."""
    first: list[torch.Tensor] = []
    for batch in batches:
        if not first:
            first.append(batch[:COMPARED].clone())
    return {"images": first[0]}


def photo_paths(folder: Path) -> list[str]:
    """Return the photos of a folder."""
    return [str(path) for path in sorted(folder.glob("*.jpg"))]


def against(*names: str) -> tuple[Arm, ...]:
    """Return ours and those of the peer's arms that are named."""
    arms = {
        "DataLoader": {"best": False},
        "DataLoader, best settings": {"best": True},
        "DataLoader, best settings and draft": {"best": True, "draft": True},
    }
    return (
        Arm("ours", f"{__name__}:ours"),
        *(Arm(name, f"{__name__}:peer", peer=True, options=arms[name]) for name in names),
    )


ROWS = (
    Row(
        name="decode_small",
        title="JPEG to batch tensor, 0.2 megapixels",
        unit="images",
        arms=against("DataLoader", "DataLoader, best settings"),
        targets=(
            Target(against="DataLoader", at_least=1.8),
            Target(against="DataLoader, best settings", at_least=1.8),
        ),
        same=mean_apart(APART),
        prepare=prepare,
        sizes={"photos": 640, "megapixels": 0.2, "stored": 252, "side": 224},
        quick={"photos": 256},
        limits=(
            "libjpeg-turbo, which both decode with, is two thirds of our time. Taken: torch's filter "
            "instead of Pillow's, blocks of files read before anything is normalised. Not to be had: "
            "decoding to a fraction (a photo less than twice the square has none), leaving out what the "
            "crop throws away."
        ),
    ),
)
