"""Learns a stream with the default method and keeps what every model said of every image.

``python -m benchmarks.stream_features glyphs --seed 0`` writes ``FEATURES/glyphs-seed0.safetensors``: for
each task i, the stored features of all training and query images by the model after task i, and those of
distorted views of task i's training images by the models before and after it. What may be done
with old items, without their images, can then be compared in minutes: none of it changes the learning.
``--validation`` takes a stream made of the training images alone, to choose something on.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from cli.settings import benchmark_settings
from cli.starting_weights import starting_weights
from continual_dml.embedding.distorted_views import DistortedRows
from continual_dml.embedding.embedder import Embedder
from continual_dml.embedding.extract import extract_each, side_by_side
from continual_dml.embedding.precision import Compute, choose_compute
from continual_dml.ports import SilentListener
from continual_dml.records import LabelledImages, LearningStream
from continual_dml.settings import Settings, TrainingSettings
from continual_dml.strategies.learner import LearnedTask
from continual_dml.strategies.stream_learners import SequentialLearner
from streams.named.catalogue import open_stream
from streams.named.validation import validation_stream

FIRST_STEPS, STEPS = 200, 80
VIEWS = TrainingSettings().drift_views
"""Distorted views of each training image, as many as the product looks at."""
FILES = {"omniglot": "data/omniglot-242.zip", "grocery": "data/grocery-160.zip"}
WEIGHTS = "weights/mobilenet_v2-imagenet1k.safetensors"
Features = NDArray[np.float32]


@dataclass(frozen=True)
class StreamFeatures:
    """Stored features of a stream of T tasks, as the model after each task gives them.

    ``train[i][j]`` (n_j, F): task j's training images by the model after task i; ``query`` alike;
    ``train_labels[j]``, ``query_labels[j]``: their categories. ``views[j]``: distorted views of task j's
    training images, view after view (K n_j, F), by the models before and after the task; none of the first.
    """

    train: list[list[Features]]
    query: list[list[Features]]
    train_labels: list[NDArray[np.int64]]
    query_labels: list[NDArray[np.int64]]
    views: dict[int, tuple[Features, Features]] = field(default_factory=dict)

    @property
    def tasks(self) -> int:
        """How many tasks the stream has."""
        return len(self.train_labels)


def stream_settings(stream: str, seed: int, side: int | None, changes: Sequence[str] = ()) -> Settings:
    """Return the settings of ``cdml benchmark`` for a stream, with as many steps as its tables have."""
    chosen: dict[str, Any] = {"seed": seed, "steps": STEPS, "changes": tuple(changes)}
    if side is not None:
        chosen["image_side"] = side
    settings = benchmark_settings(stream, chosen)
    return replace(settings, training=replace(settings.training, seed=seed))


def open_named(stream: str, seed: int, settings: Settings, data: Path, *, validation: bool) -> LearningStream:
    """Return a stream, or one made of its training images alone."""
    opened = open_stream(
        stream,
        location=data / FILES[stream] if stream in FILES else None,
        side_pixels=settings.model.stored_side_pixels,
        seed=seed,
        settings=settings.streams,
        listener=SilentListener(),
        sizes=None,
    )
    return validation_stream(opened, seed, contiguous=True) if validation else opened


def learn(stream: LearningStream, settings: Settings, data: Path) -> StreamFeatures:
    """Learn ``stream`` task by task and look at every image after each."""
    compute = choose_compute(settings.training.device, settings.training.precision)
    weights = str(data / WEIGHTS) if settings.model.pretrained else "none"
    pretrained = starting_weights(settings.model, weights).tensors
    learner = SequentialLearner(settings, FIRST_STEPS, pretrained, compute, SilentListener())
    train: list[list[Features]] = []
    query: list[list[Features]] = []
    views: dict[int, tuple[Features, Features]] = {}
    before: tuple[Embedder, ...] | None = None
    for position, experience in enumerate(stream.tasks):
        learned = learner.learn(position, experience)

        def look(images: LabelledImages, learned: LearnedTask = learned) -> Features:
            return side_by_side(extract_each(learned.embedders, images.pixels, compute))

        if before is not None:
            views[position] = _views(experience.train, (before, learned.embedders), settings, compute)
        before = learned.embedders
        train.append([look(task.train) for task in stream.tasks])
        query.append([look(task.query) for task in stream.tasks])
        print(f"{stream.name}: task {position + 1} of {len(stream.tasks)} learned", flush=True)
    return StreamFeatures(
        train,
        query,
        [task.train.labels for task in stream.tasks],
        [task.query.labels for task in stream.tasks],
        views,
    )


def _views(
    images: LabelledImages, models: Sequence[tuple[Embedder, ...]], settings: Settings, compute: Compute
) -> tuple[Features, Features]:
    """Return what the models before and after a task say of the same distorted views of its images."""
    random = np.random.default_rng(settings.training.seed)
    seen: list[list[Features]] = []
    for _ in range(VIEWS):
        view = DistortedRows.drawn(images.pixels, random)
        seen.append([side_by_side(extract_each(model, view, compute)) for model in models])
    before, after = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    return before, after


def features_file(
    folder: Path, stream: str, seed: int, *, validation: bool, changes: Sequence[str] = ()
) -> Path:
    """Return where the features of one run are kept."""
    changed = "".join(f"-{change}" for change in changes)
    return folder / f"{stream}-seed{seed}{'-validation' if validation else ''}{changed}.safetensors"


def write_features(path: Path, found: StreamFeatures) -> None:
    """Keep the features of one run."""
    arrays: dict[str, NDArray[Any]] = {}
    for j in range(found.tasks):
        arrays[f"train_labels.{j}"] = found.train_labels[j]
        arrays[f"query_labels.{j}"] = found.query_labels[j]
        for i in range(found.tasks):
            arrays[f"train.{i}.{j}"], arrays[f"query.{i}.{j}"] = found.train[i][j], found.query[i][j]
    for j, (before, after) in found.views.items():
        arrays[f"view_before.{j}"], arrays[f"view_after.{j}"] = before, after
    path.parent.mkdir(parents=True, exist_ok=True)
    whole: Mapping[str, NDArray[Any]] = arrays
    partial = path.with_suffix(".partial")
    save_file({name: np.ascontiguousarray(array) for name, array in whole.items()}, partial)
    partial.replace(path)


def read_features(path: Path) -> StreamFeatures:
    """Return what :func:`write_features` kept."""
    arrays = load_file(path)
    tasks = range(sum(name.startswith("train_labels.") for name in arrays))
    return StreamFeatures(
        [[arrays[f"train.{i}.{j}"] for j in tasks] for i in tasks],
        [[arrays[f"query.{i}.{j}"] for j in tasks] for i in tasks],
        [arrays[f"train_labels.{j}"] for j in tasks],
        [arrays[f"query_labels.{j}"] for j in tasks],
        {
            j: (arrays[f"view_before.{j}"], arrays[f"view_after.{j}"])
            for j in tasks
            if f"view_before.{j}" in arrays
        },
    )


def main() -> None:
    """Learn one stream with one seed and keep its features, unless they are kept already."""
    shared = Path(os.environ.get("CDML_TEST_DATA", "../shared"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stream", choices=["grocery", "glyphs", "omniglot"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--side", type=int, help="side in pixels that the network sees")
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="SECTION.NAME=VALUE")
    parser.add_argument("--data", type=Path, default=shared, help="folder with data/ and weights/")
    parser.add_argument("--features", type=Path, default=Path("benchmarks/runs/features"))
    options = parser.parse_args()
    path = features_file(
        options.features, options.stream, options.seed,
        validation=options.validation, changes=options.changes,
    )  # fmt: skip
    if path.exists():
        return
    settings = stream_settings(options.stream, options.seed, options.side, options.changes)
    stream = open_named(options.stream, options.seed, settings, options.data, validation=options.validation)
    write_features(path, learn(stream, settings, options.data))


if __name__ == "__main__":
    main()
