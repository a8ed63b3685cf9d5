"""An epoch of augmented batches after the first: squares kept in a mapped file, against decoding again.

Both draw the photos in a new order and cut a shifted window out of the resized photo, which half of the time
is mirrored. What chance gives differs, so means and spreads of all values are compared.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.peer_photos import (
    BATCH,
    PhotoFiles,
    best_training_transform,
    loader,
    usual_training_transform,
)
from benchmarks.rows.decode_small import photo_paths, prepare
from benchmarks.side_by_side.answers import mean_apart
from benchmarks.side_by_side.rows import Arm, Row, Sizes, Target, Work

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch


def ours(folder: Path, sizes: Sizes) -> Work:
    """The batches of a training step, from the pixels of a task as an ingest keeps them."""
    import numpy as np
    import torch

    from continual_dml.embedding.freed_memory import freed_memory_kept
    from continual_dml.embedding.preprocessing import training_views
    from continual_dml.settings import StreamSettings
    from continual_dml.strategies.prefetch import pixel_batch, prefetched
    from streams.image_reader import ThreadedImageReader
    from streams.pixel_rows import allocate_pixels

    paths = photo_paths(folder)
    pixels = allocate_pixels(len(paths), sizes["stored"], folder)
    pixels[:], _ = ThreadedImageReader(sizes["stored"], StreamSettings()).read(paths)
    random = np.random.default_rng(0)

    def run() -> dict[str, torch.Tensor]:
        order = np.concatenate([random.permutation(len(paths)) for _ in range(sizes["epochs"])])
        batches = (order[start : start + BATCH] for start in range(0, len(order), BATCH))
        views = (
            training_views(
                batch.pixels,
                sizes["side"],
                flip=True,
                smallest_crop=1.0,
                random=random,
                device=torch.device("cpu"),
            )
            for batch in prefetched(batches, partial(pixel_batch, pixels, pin=False))
        )
        with freed_memory_kept():
            return looked_at(views)

    return Work(run, amount=len(paths) * sizes["epochs"])


def peer(folder: Path, sizes: Sizes) -> Work:
    """A DataLoader with two workers."""
    paths = photo_paths(folder)
    transform = (best_training_transform if sizes["best"] else usual_training_transform)(
        sizes["stored"], sizes["side"]
    )

    def run() -> dict[str, torch.Tensor]:
        photos = loader(PhotoFiles(paths, transform), best=sizes["best"], shuffle=True, keep_workers=True)
        return looked_at(batch for _ in range(sizes["epochs"]) for batch in photos)

    return Work(run, amount=len(paths) * sizes["epochs"])


def looked_at(batches: Iterable[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Take all batches; return the mean and the spread of each channel of some of the values."""
    import torch

    seen = torch.cat([batch[:, :, ::16, ::16].clone() for batch in batches])
    return {"mean": seen.mean(dim=(0, 2, 3)), "spread": seen.std(dim=(0, 2, 3))}


ROWS = (
    Row(
        name="later_epochs",
        title="augmented batches of later epochs",
        unit="images",
        arms=(
            Arm("ours", f"{__name__}:ours"),
            Arm("DataLoader", f"{__name__}:peer", peer=True, options={"best": False}),
            Arm("DataLoader, best settings", f"{__name__}:peer", peer=True, options={"best": True}),
        ),
        targets=(
            Target(against="DataLoader", at_least=20.0),
            Target(against="DataLoader, best settings", at_least=20.0),
        ),
        same=mean_apart(0.05),
        prepare=prepare,
        sizes={"photos": 640, "megapixels": 0.2, "stored": 252, "side": 224, "epochs": 2},
        quick={"photos": 256},
        limits=(
            "Memory is the limit: a float32 batch of 64 at 224 px is 38 MB, written once and changed twice. "
            "Tried: images one by one, which a processor's cache holds; a multiply-add in one step; numpy "
            "instead of torch. None was faster."
        ),
    ),
)
