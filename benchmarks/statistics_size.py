"""What is kept of 11,318 classes, in bytes: the training classes of Stanford Online Products.

Run ``python -m benchmarks.statistics_size --record``, then with ``--render docs/benchmarks.md``. Synthetic
features of that many classes arrive in a few tasks; each is measured and merged as a learner does it, and the
result is written as the safetensors document that a workspace would publish. The bytes depend on the numbers
of classes, dimensions and directions alone, so synthetic features give the true size: a class of n images has
n - 1 directions of its own, ``training.class_rank`` at most.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.documents import append_result, read_results, replace_tables
from cli.machine import environment
from continual_dml.memory.class_statistics import ClassStatistics, measure_classes
from continual_dml.process_memory import forget_peak_memory, peak_memory_bytes
from continual_dml.settings import CLASS_RANK
from storage.tensor_files import render_tensors

RESULTS, TABLES = Path("benchmarks/results/statistics_size.jsonl"), "statistics size"
CLASSES = 11_318  # of the 22,634 of Stanford Online Products, those that its protocol trains on
TASKS = 8
LIMIT_BYTES = 0.4e9


@dataclass(frozen=True)
class Case:
    """Dimensions of features and outputs, images of a class (SOP has 5.3 in the mean), directions at most."""

    feature_dim: int
    embedding_dim: int
    images: int
    rank: int = CLASS_RANK


CASES = (
    Case(512, 512, 5, rank=0),
    Case(512, 512, 5),
    Case(512, 512, CLASS_RANK + 1),  # every class as large as it gets
    Case(1280, 128, 5),
    Case(1280, 128, CLASS_RANK + 1),
)


def gathered_statistics(case: Case) -> ClassStatistics:
    """Return the statistics of all classes, measured in ``TASKS`` tasks of synthetic images."""
    random = np.random.default_rng(0)
    whole: ClassStatistics | None = None
    for task, class_ids in enumerate(np.array_split(np.arange(CLASSES, dtype=np.int64), TASKS)):
        labels = np.repeat(class_ids, case.images)
        features = random.standard_normal((len(labels), case.feature_dim), dtype=np.float32)
        outputs = random.standard_normal((len(labels), case.embedding_dim), dtype=np.float32)
        measured = measure_classes(features, outputs, labels, task, case.rank)
        whole = measured if whole is None else whole.merged(measured, case.rank)
    if whole is None:
        raise SystemExit("no task was measured: TASKS must be at least 1")
    return whole


def file_bytes(statistics: ClassStatistics) -> int:
    """Write the statistics to a temporary file as a workspace does; return its size."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "statistics.safetensors"
        path.write_bytes(render_tensors(statistics.to_arrays()))
        return path.stat().st_size


def measured(case: Case) -> dict[str, Any]:
    """Return the sizes of one case, and what making it cost."""
    forget_peak_memory()
    start = time.perf_counter()
    statistics = gathered_statistics(case)
    seconds = time.perf_counter() - start
    factors = statistics.factors
    return {
        **asdict(case),
        "bytes": file_bytes(statistics),
        "means": statistics.means.nbytes,
        "directions": factors.directions.nbytes + factors.lengths.nbytes,
        "one covariance per class": CLASSES * math.comb(case.feature_dim + 1, 2) * 4,  # a float32 triangle
        "seconds": round(seconds, 1),
        "peak memory": peak_memory_bytes(),
    }


def table(result: Mapping[str, Any]) -> str:
    """Return a line for each case."""
    versions = ", ".join(f"{name} {value}" for name, value in result["environment"].items())
    lines = [
        f"{CLASSES:,} classes, merged over {TASKS} tasks. Machine and versions: {versions}.",
        "",
        "| F | D | images of a class | directions | file, GB | per class, kB | means | directions "
        "| one covariance per class, GB | peak memory, GB | s |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for one in result["cases"]:
        per_class = (one[name] / CLASSES / 1e3 for name in ("bytes", "means", "directions"))
        lines.append(
            f"| {one['feature_dim']} | {one['embedding_dim']} | {one['images']} "
            f"| {min(one['rank'], one['images'] - 1)} | {one['bytes'] / 1e9:.3f} | "
            + " | ".join(f"{kilobytes:.1f}" for kilobytes in per_class)
            + f" | {one['one covariance per class'] / 1e9:.1f} "
            f"| {(one['peak memory'] or 0) / 1e9:.1f} | {one['seconds']:.0f} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    """Measure every case and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.statistics_size", description=__doc__)
    parser.add_argument("--record", action="store_true", help=f"add the result to {RESULTS}")
    parser.add_argument("--render", type=Path, help="put the last result into this document and stop")
    options = parser.parse_args(arguments)
    if options.render is not None:
        replace_tables(options.render, TABLES, table(read_results(RESULTS)[-1]))
        return
    cases = [measured(case) for case in CASES]
    result = {"environment": environment(), "cases": cases}
    print(table(result))
    if options.record:
        append_result(RESULTS, result)
    largest = max(one["bytes"] for one in cases)
    if largest > LIMIT_BYTES:
        raise SystemExit(f"{largest / 1e9:.3f} GB is more than {LIMIT_BYTES / 1e9:g} GB")


if __name__ == "__main__":
    main(sys.argv[1:])
