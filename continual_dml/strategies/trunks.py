"""Frozen trunks of the networks of a task, and what they make of its images before the training begins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from continual_dml.embedding.embedder import Embedder
from continual_dml.embedding.extract import BATCH_IMAGES
from continual_dml.embedding.precision import Compute
from continual_dml.embedding.preprocessing import training_views
from continual_dml.embedding.stages import Halves, distinct_trunks
from continual_dml.errors import TrainingError
from continual_dml.nameless_files import nameless_array
from continual_dml.ports import ProgressListener
from continual_dml.strategies.job import TrainingJob
from continual_dml.strategies.kept_views import KeptViews

MOST_VIEWS = 8
"""Of each image; docs/adr/0036 tells what fewer and more of them do."""
_LARGEST = float(np.finfo(np.float16).max)


def views_to_keep(job: TrainingJob) -> int:
    """Return how many views of each image are worth keeping: no more than the task looks at."""
    looks = job.steps() * job.batch_images() / max(1, len(job.images))
    return max(1, min(MOST_VIEWS, int(np.ceil(looks))))


def freeze_trunks(networks: Iterable[Embedder], compute: Compute, upper_stages: int | None) -> None:
    """Bring the networks to their device and freeze all but their last stages; None freezes nothing.

    Raises:
        SettingsError: a network has fewer stages, or none that can be told apart.
    """
    for network in networks:
        network.to(compute.device)
        if upper_stages is not None:
            network.freeze_trunk(upper_stages)


def with_frozen_trunks(
    job: TrainingJob, compute: Compute, listener: ProgressListener, directory: Path | None
) -> TrainingJob:
    """Freeze the trunks of the networks of ``job`` where its settings say so, and run them over its images.

    Args:
        job: what is to be trained on what.
        compute: device and precision.
        listener: told of the progress.
        directory: where the results are kept; None for the system's folder for temporary files.

    Raises:
        SettingsError: a network has fewer stages, or none that can be told apart.
        TrainingError: the directory has no room.
    """
    stages = job.settings.train_stages
    if stages is None:
        return job
    freeze_trunks((network for member in job.members for network in member.networks), compute, stages)
    return replace(job, kept=_kept_views(job, compute, listener, directory))


def _kept_views(
    job: TrainingJob, compute: Compute, listener: ProgressListener, directory: Path | None
) -> KeptViews | None:
    """Run the frozen trunks of the networks of ``job`` over a few views of each image.

    Views are those of a training that makes new ones at each step, and trunks with the same weights share
    what is kept. None where a network has no frozen trunk.
    """
    trunks, numbers = distinct_trunks([network.halves for m in job.members for network in m.networks])
    known = iter(number for number in numbers if number is not None)
    if None in numbers:
        return None
    store_of = tuple(tuple(next(known) for _ in member.networks) for member in job.members)
    views = views_to_keep(job)
    listener.start("running the frozen layers", views * len(job.images))
    stores = tuple(_room(trunk, (len(job.images), views), directory) for trunk in trunks)
    random = np.random.default_rng(np.random.SeedSequence([job.seed, 1]))
    dtype = torch.float32
    with torch.inference_mode(), compute.autocast():
        for start in range(0, len(job.images), BATCH_IMAGES):
            rows = slice(start, min(start + BATCH_IMAGES, len(job.images)))
            pixels = torch.from_numpy(np.ascontiguousarray(job.images.pixels[rows]))
            for number in range(views):
                view = _view(job, pixels, random, compute.device)
                for trunk, store in zip(trunks, stores, strict=True):
                    made = trunk.trunk(view)
                    dtype = made.dtype
                    made = made.clamp(-_LARGEST, _LARGEST).half().permute(0, 2, 3, 1)
                    store[rows, number] = made.cpu().numpy()
                listener.advance(len(pixels))
    return KeptViews(stores, store_of, job.settings.cohort.own_views, dtype)


def _room(half: Halves, count: tuple[int, int], directory: Path | None) -> NDArray[np.float16]:
    channels, height, width = half.shape
    shape = (*count, height, width, channels)
    try:
        return cast("NDArray[np.float16]", nameless_array(shape, np.float16, directory))
    except OSError as error:
        size = 2 * int(np.prod(shape, dtype=np.int64))
        raise TrainingError(
            f"cannot reserve {size / 2**20:,.0f} MiB for what the frozen layers say of the images in "
            f"{directory or 'the folder for temporary files'}: {error.strerror or error}; free some disk "
            "space, or train all stages"
        ) from error


def _view(job: TrainingJob, pixels: Tensor, random: np.random.Generator, device: torch.device) -> Tensor:
    return training_views(
        pixels,
        job.model.settings.image_side_pixels,
        flip=job.settings.flip,
        smallest_crop=job.settings.smallest_crop,
        random=random,
        device=device,
    )
