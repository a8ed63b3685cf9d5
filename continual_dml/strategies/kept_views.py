"""Views of a task's images as frozen trunks see them: computed once, drawn from at each step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class DrawnRows(NamedTuple):
    """Rows (B,) of a task and, for each member, which of the kept views (M, B) it sees of them."""

    rows: NDArray[np.intp]
    numbers: NDArray[np.intp]


class KeptBatch(NamedTuple):
    """What the networks see of rows (B,) of a task.

    ``seen``: for each network of each member (B, h, w, C) in half precision, in host memory; ``dtype``: in
    which the trunks gave it.
    """

    rows: NDArray[np.intp]
    seen: tuple[tuple[Tensor, ...], ...]
    dtype: torch.dtype

    def on_device(self, device: torch.device) -> list[tuple[Tensor, ...]]:
        """Return for each network of each member what it looks at (B, C, h, w), channels last."""
        moved: dict[int, Tensor] = {}
        for kept in (kept for networks in self.seen for kept in networks):
            if id(kept) not in moved:
                on_device = kept.to(device, non_blocking=True).to(self.dtype)
                moved[id(kept)] = on_device.permute(0, 3, 1, 2)
        return [tuple(moved[id(kept)] for kept in networks) for networks in self.seen]


@dataclass(frozen=True, slots=True, eq=False)
class KeptViews:
    """What the trunks of a task's networks made of a few views of each image.

    ``stores``: for each distinct trunk (N, V, h, w, C) in half precision, in a file without a name;
    ``store_of``: which of them each network of each member sees; ``own_views``: whether each member draws
    views for itself; ``dtype``: what the trunks gave.
    """

    stores: tuple[NDArray[np.float16], ...]
    store_of: tuple[tuple[int, ...], ...]
    own_views: bool
    dtype: torch.dtype

    def drawn(self, batches: Iterable[NDArray[np.intp]], random: np.random.Generator) -> Iterator[DrawnRows]:
        """Yield each of ``batches`` (rows) with views by chance from ``random``."""
        views, members = self.stores[0].shape[1], len(self.store_of)
        for rows in batches:
            numbers = random.integers(views, size=(members if self.own_views else 1, len(rows)))
            yield DrawnRows(rows, np.broadcast_to(numbers, (members, len(rows))))

    def read(self, drawn: DrawnRows, *, pin: bool) -> KeptBatch:
        """Return what was drawn, in host memory, page-locked or not."""
        found: dict[tuple[int, int], Tensor] = {}
        seen = []
        for member, stores in enumerate(self.store_of):
            drawer = member if self.own_views else 0
            for store in stores:
                if (store, drawer) not in found:
                    kept = torch.from_numpy(self.stores[store][drawn.rows, drawn.numbers[member]])
                    found[store, drawer] = kept.pin_memory() if pin else kept
            seen.append(tuple(found[store, drawer] for store in stores))
        return KeptBatch(drawn.rows, tuple(seen), self.dtype)
