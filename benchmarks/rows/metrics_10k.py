"""Recall@K and mAP@R of ten thousand items among themselves, against pytorch-metric-learning."""

from __future__ import annotations

from pathlib import Path

from benchmarks.side_by_side.answers import close_together
from benchmarks.side_by_side.rows import Arm, Row, Sizes, Target, Work

SPREAD = 1.0
DEFAULT, DEEP_ENOUGH = "pytorch-metric-learning", 'pytorch-metric-learning, k="max_bin_count"'


def prepare(folder: Path, sizes: Sizes) -> None:
    """Write unit vectors around one centre for each category, and the categories."""
    import numpy as np

    random = np.random.default_rng(0)
    items, dimension = sizes["items"], sizes["dimension"]
    labels = np.arange(items, dtype=np.int64) % sizes["categories"]
    centres = random.standard_normal((sizes["categories"], dimension), dtype=np.float32)
    vectors = centres[labels] + SPREAD * random.standard_normal((items, dimension), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.savez(folder / "items.npz", vectors=vectors, labels=labels)


def ours(folder: Path, sizes: Sizes) -> Work:
    """All metrics in one pass; Recall@2, 4 and 8 come with it."""
    del sizes
    import numpy as np

    from continual_dml.metrics.recall import retrieval_metrics

    with np.load(folder / "items.npz") as items:
        vectors, labels = items["vectors"], items["labels"]

    def run() -> dict[str, float]:
        found = retrieval_metrics(vectors, labels, vectors, labels, exclude_self=True)
        return {
            "recall_at_1": found.recall[1],
            "r_precision": found.r_precision,
            "map_at_r": found.map_at_r,
        }

    return Work(run)


def pytorch_metric_learning(folder: Path, sizes: Sizes) -> Work:
    """The peer asked for the same metrics alone: without that, it clusters the vectors as well."""
    import numpy as np
    import torch
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    with np.load(folder / "items.npz") as items:
        vectors, labels = torch.from_numpy(items["vectors"]), torch.from_numpy(items["labels"])
    wanted = ("precision_at_1", "r_precision", "mean_average_precision_at_r")
    calculator = AccuracyCalculator(include=wanted, k=sizes["k"])

    def run() -> dict[str, float]:
        found = calculator.get_accuracy(vectors, labels)
        return dict(zip(("recall_at_1", "r_precision", "map_at_r"), map(found.get, wanted), strict=True))

    return Work(run)


ROWS = (
    Row(
        name="metrics_10k",
        title="Recall@1, R-precision and mAP@R of 10,000 items",
        arms=(
            Arm("ours", f"{__name__}:ours"),
            Arm(DEFAULT, f"{__name__}:pytorch_metric_learning", peer=True, options={"k": None}),
            Arm(
                DEEP_ENOUGH, f"{__name__}:pytorch_metric_learning", peer=True, options={"k": "max_bin_count"}
            ),
        ),
        targets=(
            Target(against=DEFAULT, at_least=50),
            Target(against=DEEP_ENOUGH, at_least=2),
            Target(figure="memory", against=DEFAULT, at_least=30),
        ),
        same=close_together(1e-4),
        prepare=prepare,
        sizes={"items": 10_000, "categories": 1_000, "dimension": 128},
        quick={"items": 2_000, "categories": 200},
        limits=(
            "Ours compares half as much; products of blocks are half of its time, looking through them the "
            "rest. Tried: blocks of 384 to 1,536 items, torch's threads within a product."
        ),
    ),
)
