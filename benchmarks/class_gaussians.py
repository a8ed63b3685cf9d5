"""Does a class's own covariance say more of its further images than the covariance that all classes share?

Run ``python -m benchmarks.class_gaussians --record``, then with ``--render docs/benchmarks.md``. Features of
the training images of a stream, by MobileNetV2 with ImageNet weights; a few images of each class are measured
and the others asked about. No test image is looked at.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from benchmarks.documents import append_result, read_results, replace_tables
from cli.machine import environment
from continual_dml.embedding.cohort import build_member
from continual_dml.embedding.extract import extract
from continual_dml.embedding.precision import choose_compute
from continual_dml.memory.class_gaussians import ISOTROPIC_IMAGES, PRIOR_IMAGES, ClassGaussians
from continual_dml.memory.class_statistics import measure_classes
from continual_dml.ports import SilentListener
from continual_dml.settings import CLASS_RANK, Settings
from streams.named.catalogue import open_stream

RESULTS, TABLES = Path("benchmarks/results/class_gaussians.jsonl"), "class gaussians"


@dataclass(frozen=True)
class Way:
    """Directions of a class, and what the shared and the isotropic covariance are worth, in images."""

    rank: int = CLASS_RANK
    prior: float = PRIOR_IMAGES
    isotropic: float = ISOTROPIC_IMAGES

    def __str__(self) -> str:
        if self.prior == SHARED_ALONE:
            return "the shared covariance alone"
        return f"{self.rank} directions, k = {self.prior:g}, h = {self.isotropic:g}"


SHARED_ALONE = 1e9
WAYS = (
    Way(prior=SHARED_ALONE),
    *(Way(rank=rank) for rank in (0, 2, 4, CLASS_RANK, 16)),
    *(Way(prior=prior) for prior in (10.0, 30.0, 300.0)),
    *(Way(isotropic=isotropic) for isotropic in (50.0, 100.0, 400.0)),
)


@dataclass(frozen=True)
class Source:
    """A stream, the file it is in, the side in pixels, and how many images of each class are measured."""

    name: str
    file: str
    side: int
    measured: tuple[int, ...]


SOURCES = (
    Source("grocery", "grocery-160.zip", 96, (3, 10, 20)),
    Source("omniglot", "omniglot-242.zip", 64, (3, 10)),
)
Images = tuple[NDArray[np.float32], NDArray[np.int64]]


def training_features(source: Source, data: Path, weights: Path) -> Images:
    """Return stored features (N, F) and labels (N,) of a stream's training images."""
    model = replace(Settings().model, image_side_pixels=source.side)
    settings = replace(Settings(), model=model)
    stream = open_stream(
        source.name,
        location=data / source.file,
        side_pixels=model.stored_side_pixels,
        seed=0,
        settings=settings.streams,
        listener=SilentListener(),
    )
    embedder = build_member(model, load_file(weights), 0, 0)
    compute = choose_compute("cpu", "fp32")
    seen = [extract(embedder, task.train.pixels, compute).features for task in stream.tasks]
    return np.concatenate(seen), np.concatenate([task.train.labels for task in stream.tasks])


def split(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.bool_]:
    """Return which images (N,) are measured: ``count`` of each class, by chance."""
    random = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), dtype=np.bool_)
    for label in np.unique(labels):
        chosen[random.permutation(np.flatnonzero(labels == label))[:count]] = True
    return chosen


def asked(gaussians: ClassGaussians, images: Images) -> dict[str, float]:
    """Return what the Gaussians say of further images: how likely, whose and how far from their own class."""
    features, labels = images
    own = np.searchsorted(gaussians.class_ids, labels)
    everyone = np.arange(len(labels))
    densities = gaussians.log_likelihoods(features)
    distances = gaussians.squared_distances(features)[everyone, own]
    return {
        "log density": float(densities[everyone, own].mean()),
        "recognised": float((densities.argmax(axis=1) == own).mean()),
        "distance": float(distances.mean() / features.shape[1]),
    }


def compared(images: Images, count: int, seed: int) -> dict[str, dict[str, float]]:
    """Return the answers for each of ``WAYS``."""
    features, labels = images
    chosen = split(labels, count, seed)
    rest = features[~chosen], labels[~chosen]
    found = {}
    for way in WAYS:
        known = measure_classes(features[chosen], features[chosen], labels[chosen], 0, way.rank)
        gaussians = ClassGaussians.from_statistics(
            known, prior_images=way.prior, isotropic_images=way.isotropic
        )
        found[str(way)] = asked(gaussians, rest)
    return found


def table(result: Mapping[str, Any]) -> str:
    """Return a line for each way of keeping classes, and for each stream and number of images a column."""
    runs = result["runs"]
    columns = sorted({(run["stream"], run["images"]) for run in runs})
    versions = ", ".join(f"{name} {value}" for name, value in result["environment"].items())
    seeds = ", ".join(map(str, sorted({run["seed"] for run in runs})))
    lines = [
        f"Seeds {seeds}. Machine and versions: {versions}.",
        "",
        "| | " + " | ".join(f"{stream}, {images} images" for stream, images in columns) + " |",
        "|---|" + "---:|" * len(columns),
    ]
    for way in runs[0]["found"]:
        cells = [
            _cell([run for run in runs if (run["stream"], run["images"]) == each], way) for each in columns
        ]
        lines.append(f"| {way} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(runs: Sequence[Mapping[str, Any]], way: str) -> str:
    alone = str(Way(prior=SHARED_ALONE))
    gains = [run["found"][way]["log density"] - run["found"][alone]["log density"] for run in runs]
    recognised = [run["found"][way]["recognised"] for run in runs]
    distance = statistics.mean(run["found"][way]["distance"] for run in runs)
    return (
        f"{statistics.mean(gains):+.1f} ± {statistics.stdev(gains):.1f}; "
        f"{statistics.mean(recognised):.3f}; {distance:.2f}"
    )


def main(arguments: Sequence[str]) -> None:
    """Measure and print, or render."""
    shared = Path(os.environ.get("CDML_TEST_DATA", "../shared"))
    parser = argparse.ArgumentParser(prog="python -m benchmarks.class_gaussians", description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=shared / "data", help="folder with the streams' archives"
    )
    weights = shared / "weights/mobilenet_v2-imagenet1k.safetensors"
    parser.add_argument("--weights", type=Path, default=weights)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="two at least")
    parser.add_argument("--record", action="store_true", help=f"add the result to {RESULTS}")
    parser.add_argument("--render", type=Path, help="put the last result into this document and stop")
    options = parser.parse_args(arguments)
    if options.render is not None:
        replace_tables(options.render, TABLES, table(read_results(RESULTS)[-1]))
        return
    runs = []
    for source in SOURCES:
        images = training_features(source, options.data, options.weights)
        for count in source.measured:
            for seed in options.seeds:
                found = compared(images, count, seed)
                runs.append({"stream": source.name, "images": count, "seed": seed, "found": found})
    result: dict[str, object] = {"environment": environment(), "runs": runs}
    print(table(result))
    if options.record:
        append_result(RESULTS, result)


if __name__ == "__main__":
    main(sys.argv[1:])
