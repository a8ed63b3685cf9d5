"""What is kept of the training classes of Stanford Online Products, against a covariance for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.side_by_side.answers import close_together
from benchmarks.side_by_side.rows import Arm, Row, Sizes, Target, Work

CLASSES, DIMENSION = 11_318, 512
COMPARED = 100
FULL = "full covariance per class"


def ours(folder: Path, sizes: Sizes) -> Work:
    """Measure all classes in eight tasks, merge them, and write the file that a workspace publishes."""
    from benchmarks.statistics_size import Case, gathered_statistics
    from storage.tensor_files import render_tensors

    size: list[int] = []
    path = folder / "statistics.safetensors"

    def run() -> dict[str, Any]:
        kept = gathered_statistics(Case(DIMENSION, DIMENSION, sizes["images"]))
        path.write_bytes(render_tensors(kept.to_arrays()))
        size.append(path.stat().st_size)
        return {"means": kept.means[:COMPARED]}

    return Work(run, figures=lambda: {"gigabytes": size[-1] / 1e9})


def full_covariances(folder: Path, sizes: Sizes) -> Work:
    """Mean and covariance of some classes, in 32 bits; what it would be for all is computed from that."""
    import numpy as np

    path, images = folder / "covariances.npz", sizes["images"]
    size: list[int] = []

    def run() -> dict[str, Any]:
        random = np.random.default_rng(0)
        first = len(np.array_split(np.arange(CLASSES), sizes["tasks"])[0])
        features = random.standard_normal((first * images, DIMENSION), dtype=np.float32)
        groups = features.reshape(first, images, DIMENSION)[:COMPARED]
        means = groups.mean(axis=1)
        apart = groups - means[:, None]
        covariances = np.einsum("cni,cnj->cij", apart, apart) / (images - 1)
        np.savez(path, means=means, covariances=covariances)
        size.append(path.stat().st_size)
        return {"means": means}

    return Work(run, figures=lambda: {"gigabytes": size[-1] / COMPARED * CLASSES / 1e9})


ROWS = (
    Row(
        name="class_statistics",
        title="what is kept of 11,318 classes, d = 512",
        arms=(
            Arm("ours", f"{__name__}:ours"),
            Arm(FULL, f"{__name__}:full_covariances", peer=True, options={"tasks": 8}),
        ),
        targets=(
            Target(figure="gigabytes", at_most=0.4),
            Target(figure="gigabytes", against=FULL, at_least=29),
        ),
        same=close_together(1e-3),
        sizes={"images": 9},  # of a class: from so many on, ours keeps no more of it
        quick={"images": 5},
        rounds=3,
        again=False,
    ),
)
