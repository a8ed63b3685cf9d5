"""How users of PyTorch read photos, as its own and torchvision's documentation have it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WORKERS, BATCH = 2, 64


@dataclass(frozen=True)
class PhotoFiles:
    """A data set in the way of ``torch.utils.data.Dataset``: one transformed photo for each path.

    ``draft_to`` lets Pillow decode a JPEG to a fraction whose sides are still that long, which its
    documentation offers; None decodes it whole.
    """

    paths: Sequence[str]
    transform: Callable[[Any], Any]
    draft_to: int | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> Any:  # noqa: ANN401 - a tensor, and torch is not imported here
        from PIL import Image

        with Image.open(self.paths[row]) as image:
            if self.draft_to is not None:
                image.draft("RGB", (self.draft_to, self.draft_to))
            return self.transform(image.convert("RGB"))


def usual_transform(stored: int, side: int) -> Callable[[Any], Any]:
    """Return what tutorials write: resize the shorter side, cut the middle out, to a tensor, normalise."""
    transforms = _torchvision().transforms
    steps = [transforms.Resize(stored), transforms.CenterCrop(side)]
    return _usual(steps)


def best_transform(stored: int, side: int) -> Callable[[Any], Any]:
    """Return the same as torchvision's "Performance considerations" advise: v2 on uint8 tensors."""
    v2 = _torchvision().transforms.v2
    return _best([v2.Resize(stored, antialias=True), v2.CenterCrop(side)])


def usual_training_transform(stored: int, side: int) -> Callable[[Any], Any]:
    """Return what tutorials write for training: a window somewhere in the photo, half of them mirrored."""
    transforms = _torchvision().transforms
    steps = [transforms.Resize(stored), transforms.RandomCrop(side), transforms.RandomHorizontalFlip()]
    return _usual(steps)


def best_training_transform(stored: int, side: int) -> Callable[[Any], Any]:
    """Return the same as "Performance considerations" advise."""
    v2 = _torchvision().transforms.v2
    return _best([v2.Resize(stored, antialias=True), v2.RandomCrop(side), v2.RandomHorizontalFlip()])


def _usual(steps: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    transforms = _torchvision().transforms
    composed: Callable[[Any], Any] = transforms.Compose(
        [*steps, transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    )
    return composed


def _best(steps: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    import torch

    v2 = _torchvision().transforms.v2
    last = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
    composed: Callable[[Any], Any] = v2.Compose([v2.PILToTensor(), *steps, *last])
    return composed


def _torchvision() -> Any:  # noqa: ANN401
    from continual_dml.embedding.torchvision_guard import import_torchvision

    torchvision = import_torchvision()
    importlib.import_module("torchvision.transforms.v2")
    return torchvision


TRANSFORMS = {"usual": usual_transform, "best": best_transform}


def loader(photos: PhotoFiles, *, best: bool, shuffle: bool = False, keep_workers: bool = False) -> Any:  # noqa: ANN401
    """Return a DataLoader with two workers; ``best`` fetches further ahead and may keep its workers."""
    from torch.utils.data import DataLoader

    if not best:
        return DataLoader(photos, batch_size=BATCH, shuffle=shuffle, num_workers=WORKERS)  # type: ignore[arg-type]
    return DataLoader(
        photos,  # type: ignore[arg-type]
        batch_size=BATCH,
        shuffle=shuffle,
        num_workers=WORKERS,
        prefetch_factor=4,
        persistent_workers=keep_workers,
    )
