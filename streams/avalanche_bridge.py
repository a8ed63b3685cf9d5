"""Our experiences as an Avalanche benchmark, and any Avalanche benchmark's experiences as ours.

Avalanche (avalanche-lib 0.6) takes seconds to import: import this module only where a benchmark is built.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from continual_dml.embedding.preprocessing import centre_crop, normalised
from continual_dml.embedding.torchvision_guard import import_torchvision
from continual_dml.errors import StreamError
from continual_dml.records import Experience, LabelledImages
from streams.colour_modes import to_rgb
from streams.image_decoding import square_pixels
from streams.tensor_pixels import eight_bit

import_torchvision()  # Avalanche imports torchvision, which may need the guard
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="no QP solver found")  # of a strategy that is not used here
    from avalanche.benchmarks import (
        CLScenario,
        benchmark_from_datasets,
        with_classes_timeline,
        with_task_labels,
    )
    from avalanche.benchmarks.utils import (
        AvalancheDataset,
        TaskLabels,
        TransformGroups,
        as_classification_dataset,
    )

STORED = "stored"
"""Name of the transform group that gives the stored squares (3, S, S) uint8 instead of network inputs."""


def as_avalanche_benchmark(experiences: Sequence[Experience], image_side_pixels: int) -> CLScenario:
    """Return a benchmark with a ``train_stream`` and a ``test_stream``, one experience per task each.

    Items are ``(image, label, task label)``: the centre crop (3, side, side) float32, normalised as the
    embedder wants it; the global category id; and 0, because retrieval is never told the task. The images
    are not augmented. Experiences carry ``classes_in_this_experience`` and its relatives.

    Args:
        experiences: of the stream, in order.
        image_side_pixels: side of what the network sees, at most that of the stored squares.

    Raises:
        StreamError: there is no experience, or its squares are smaller than ``image_side_pixels``.
    """
    if not experiences:
        raise StreamError("an Avalanche benchmark needs at least one experience; read a task folder first")
    for experience in experiences:
        stored = experience.train.pixels[:1].shape[1]
        if stored < image_side_pixels:
            raise StreamError(
                f"task '{experience.name}': squares of {stored} px cannot show {image_side_pixels} px to the "
                "network; read the task with a larger side"
            )
    streams = {
        "train": [_as_dataset(experience.train, image_side_pixels) for experience in experiences],
        "test": [_as_dataset(experience.query, image_side_pixels) for experience in experiences],
    }
    return with_task_labels(with_classes_timeline(benchmark_from_datasets(**streams)))


def from_avalanche(
    train: Any,  # noqa: ANN401 - Avalanche has no type hints that are of use here
    stored_side_pixels: int,
    queries: Any = None,  # noqa: ANN401
) -> list[Experience]:
    """Return the experiences of any Avalanche stream as ours.

    Args:
        train: one training experience, or a stream of them.
        stored_side_pixels: side of the squares that images are resized to (centre square, bicubic).
        queries: the experience or stream that the same tasks are asked with, in the same order; without it
            the experiences have no queries.

    Raises:
        StreamError: an image that cannot be read (see :func:`labelled_images`), or streams of two lengths.
    """
    learned = _experiences(train)
    asked = _experiences(queries) if queries is not None else []
    if queries is not None and len(asked) != len(learned):
        raise StreamError(
            f"{len(learned)} training experiences but {len(asked)} to ask with; "
            "give one experience of queries for each, in the same order"
        )
    result = []
    for position, experience in enumerate(learned):
        images = labelled_images(experience.dataset, stored_side_pixels)
        if asked:
            query = labelled_images(asked[position].dataset, stored_side_pixels)
        else:
            query = LabelledImages(images.pixels[:0], images.labels[:0])
        result.append(Experience(f"experience {experience.current_experience}", images, query))
    return result


def labelled_images(dataset: Any, stored_side_pixels: int) -> LabelledImages:  # noqa: ANN401
    """Return all images of an Avalanche (or other map-style) dataset and their labels, in order.

    Items start with an image and an integer label. Images are PIL images of any mode, or tensors (C, H, W) or
    (H, W) with 1 or 3 channels, uint8 or floats within 0..1. Avalanche's ``eval`` transforms are applied,
    because augmentation is the learner's part; a dataset made by :func:`as_avalanche_benchmark` gives back
    the very squares that it was made from.

    Args:
        dataset: of one experience.
        stored_side_pixels: side S of the squares.

    Returns:
        Pixels (N, S, S, 3) uint8 and labels (N,) int64.

    Raises:
        StreamError: an image of another kind or shape, or one that is normalised already.
    """
    view = _without_augmentation(dataset)
    pixels = np.empty((len(view), stored_side_pixels, stored_side_pixels, 3), dtype=np.uint8)
    labels = np.empty(len(view), dtype=np.int64)
    for row in range(len(view)):
        image, label, *_ = view[row]
        pixels[row] = square_pixels(_rgb(image, f"image {row} of the dataset"), stored_side_pixels)
        labels[row] = int(label)
    return LabelledImages(pixels, labels)


class _Squares(Dataset[tuple[torch.Tensor, int]]):
    """Stored squares (3, S, S) uint8 with labels; ``targets`` is where Avalanche looks for them."""

    def __init__(self, images: LabelledImages) -> None:
        self._pixels = images.pixels
        self.targets = [int(label) for label in images.labels]

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(np.array(self._pixels[row : row + 1][0])).permute(2, 0, 1), self.targets[row]


class _NetworkView:
    """What the embedder sees of a stored square: the normalised centre crop."""

    def __init__(self, side: int) -> None:
        self._side = side

    def __call__(self, square: torch.Tensor) -> torch.Tensor:
        """Return (3, side, side) float32 of a stored square (3, S, S) uint8."""
        view = centre_crop(square.permute(1, 2, 0).numpy()[None], self._side)
        return normalised(view, torch.device("cpu"))[0]


def _as_dataset(images: LabelledImages, side: int) -> AvalancheDataset:
    view = _NetworkView(side)
    groups = TransformGroups({"train": view, "eval": view, STORED: None})
    dataset = as_classification_dataset(_Squares(images), groups)
    return dataset.update_data_attribute("targets_task_labels", TaskLabels([0] * len(images)))


def _experiences(stream: Any) -> list[Any]:  # noqa: ANN401
    return list(stream) if isinstance(stream, Iterable) else [stream]


def _without_augmentation(dataset: Any) -> Any:  # noqa: ANN401
    if not isinstance(dataset, AvalancheDataset) or not len(dataset):
        return dataset
    try:
        view = dataset.with_transforms(STORED)
        view[0]
    except (AssertionError, KeyError):  # how Avalanche says that a dataset has no group of that name
        return dataset.eval()
    return view


def _rgb(image: object, where: str) -> Image.Image:
    if isinstance(image, Image.Image):
        return to_rgb(image)
    if isinstance(image, torch.Tensor):
        return Image.fromarray(eight_bit(image, where))
    raise StreamError(f"{where} is a {type(image).__name__}; let the benchmark give PIL images or tensors")
