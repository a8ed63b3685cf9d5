"""What is kept of 11,318 classes, in bytes: the training classes of Stanford Online Products.

Run ``python -m benchmarks.statistics_size``. Synthetic features of that many classes arrive in a few tasks;
each is measured and merged as a learner does it, and the result is written as the safetensors document that
a workspace would publish. The bytes depend on the numbers of classes and dimensions alone, so synthetic
features give the true size.
"""

from __future__ import annotations

import math
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from continual_dml.memory.class_statistics import ClassStatistics, measure_classes
from storage.tensor_files import render_tensors

CLASSES = 11_318  # of the 22,634 of Stanford Online Products, those that its protocol trains on
IMAGES_PER_CLASS = 5  # there are 5.3 on average
TASKS = 8
SHAPES = ((512, 512), (1280, 128))  # feature and embedding dimensions
LIMIT_BYTES = 0.4e9


def gathered_statistics(feature_dim: int, embedding_dim: int) -> ClassStatistics:
    """Return the statistics of all classes, measured in ``TASKS`` tasks of synthetic images."""
    random = np.random.default_rng(0)
    whole: ClassStatistics | None = None
    for task, class_ids in enumerate(np.array_split(np.arange(CLASSES, dtype=np.int64), TASKS)):
        labels = np.repeat(class_ids, IMAGES_PER_CLASS)
        features = random.standard_normal((len(labels), feature_dim), dtype=np.float32)
        outputs = random.standard_normal((len(labels), embedding_dim), dtype=np.float32)
        measured = measure_classes(features, outputs, labels, task)
        whole = measured if whole is None else whole.merged(measured)
    if whole is None:
        raise SystemExit("no task was measured: TASKS must be at least 1")
    return whole


def file_bytes(statistics: ClassStatistics) -> int:
    """Write the statistics to a temporary file as a workspace does; return its size."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "statistics.safetensors"
        path.write_bytes(render_tensors(statistics.to_arrays()))
        return path.stat().st_size


def peak_memory_bytes() -> int:
    """Return the most memory that this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux KiB


def main() -> None:
    """Measure every shape and print one line of a Markdown table for each."""
    print(
        f"{CLASSES:,} classes of {IMAGES_PER_CLASS} images, merged over {TASKS} tasks; limit "
        f"{LIMIT_BYTES / 1e9:g} GB\n"
    )
    print("| F | D | statistics file | per class | of it means | one covariance per class | seconds |")
    print("|---|---|---|---|---|---|---|")
    sizes = []
    for feature_dim, embedding_dim in SHAPES:
        start = time.perf_counter()
        statistics = gathered_statistics(feature_dim, embedding_dim)
        size = file_bytes(statistics)
        sizes.append(size)
        covariances = CLASSES * math.comb(feature_dim + 1, 2) * 4  # a triangle each, in float32
        print(
            f"| {feature_dim} | {embedding_dim} | {size / 1e9:.3f} GB | {size / CLASSES:,.0f} bytes "
            f"| {statistics.means.nbytes / 1e9:.3f} GB | {covariances / 1e9:.1f} GB "
            f"| {time.perf_counter() - start:.1f} |"
        )
    print(f"\nPeak memory {peak_memory_bytes() / 1e9:.2f} GB.")
    if max(sizes) > LIMIT_BYTES:
        raise SystemExit(f"{max(sizes) / 1e9:.3f} GB is more than {LIMIT_BYTES / 1e9:g} GB")


if __name__ == "__main__":
    main()
