"""Exact evaluation of a whole test set, as large as that of Stanford Online Products, against torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.rows.metrics_10k import ours, prepare
from benchmarks.side_by_side.answers import close_together
from benchmarks.side_by_side.rows import Arm, Row, Sizes, Target, Work

DEFAULT, TUNED = "torch, 1,000 queries at once", "torch, 256 queries at once"

__all__ = ["ROWS", "ours", "prepare", "torch_in_chunks"]


def torch_in_chunks(folder: Path, sizes: Sizes) -> Work:
    """Similarities of some queries at a time, and as many of the best as the largest category has items."""
    import numpy as np
    import torch

    with np.load(folder / "items.npz") as items:
        vectors, labels = torch.from_numpy(items["vectors"]), torch.from_numpy(items["labels"])
    own = torch.bincount(labels)[labels] - 1
    deepest = max(8, int(own.max()))
    places = torch.arange(1, deepest + 1)
    at_once = sizes["at_once"]

    @torch.inference_mode()
    def run() -> dict[str, Any]:
        sums = torch.zeros(6, dtype=torch.float64)
        for start in range(0, len(vectors), at_once):
            stop = min(len(vectors), start + at_once)
            similarities = vectors[start:stop] @ vectors.T
            similarities[torch.arange(stop - start), torch.arange(start, stop)] = -2
            best = similarities.topk(deepest, dim=1).indices
            hits = labels[best] == labels[start:stop, None]
            count = own[start:stop, None]
            within = hits & (places <= count)
            precision = within.cumsum(1) / places
            sums[:4] += torch.stack([hits[:, :k].any(1).sum() for k in (1, 2, 4, 8)])
            sums[4] += (within.sum(1) / count[:, 0]).sum()
            sums[5] += ((precision * within).sum(1) / count[:, 0]).sum()
        means = sums / len(vectors)
        return {"recall_at_1": means[0], "r_precision": means[4], "map_at_r": means[5]}

    return Work(run)


ROWS = (
    Row(
        name="metrics_60k",
        title="exact evaluation of 60,000 x 60,000",
        arms=(
            Arm("ours", f"{__name__}:ours"),
            Arm(DEFAULT, f"{__name__}:torch_in_chunks", peer=True, options={"at_once": 1000}),
            Arm(TUNED, f"{__name__}:torch_in_chunks", peer=True, options={"at_once": 256}),
        ),
        targets=(Target(against=DEFAULT, at_least=1.4), Target(against=TUNED, at_least=1.4)),
        same=close_together(1e-4),
        prepare=prepare,
        sizes={"items": 60_000, "categories": 11_316, "dimension": 512},
        quick={"items": 6_000, "categories": 1_130},
        rounds=5,
    ),
)
