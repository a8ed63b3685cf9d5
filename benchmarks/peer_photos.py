"""How users of PyTorch read photos, as its own and torchvision's documentation have it."""

from __future__ import annotations

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
    from continual_dml.embedding.torchvision_guard import import_torchvision

    import_torchvision()
    from torchvision import transforms

    return transforms.Compose(
        [
            transforms.Resize(stored),
            transforms.CenterCrop(side),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )


def best_transform(stored: int, side: int) -> Callable[[Any], Any]:
    """Return the same as "Performance considerations" of torchvision's transforms advise: v2, uint8 tensors."""
    from continual_dml.embedding.torchvision_guard import import_torchvision

    import_torchvision()
    import torch
    from torchvision.transforms import v2

    return v2.Compose(
        [
            v2.PILToTensor(),
            v2.Resize(stored, antialias=True),
            v2.CenterCrop(side),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )


TRANSFORMS = {"usual": usual_transform, "best": best_transform}


def loader(photos: PhotoFiles, *, best: bool, epochs_follow: bool = False) -> Any:  # noqa: ANN401
    """Return a DataLoader with two workers; ``best`` fetches further ahead and keeps workers for epochs."""
    from torch.utils.data import DataLoader

    if not best:
        return DataLoader(photos, batch_size=BATCH, num_workers=WORKERS)  # type: ignore[arg-type]
    return DataLoader(
        photos,  # type: ignore[arg-type]
        batch_size=BATCH,
        num_workers=WORKERS,
        prefetch_factor=4,
        persistent_workers=epochs_follow,
    )
