"""Seconds of a training step when only the last stages are trained: ``python -m benchmarks.trained_stages``.

A later task of mutual distillation as it is: model and specialist from pretrained weights, 60 images a step,
on pixels by chance. Prints one line for each of ``--stages`` (0: all), in the order given.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np

from continual_dml.embedding.cohort import build_member
from continual_dml.embedding.precision import choose_compute
from continual_dml.embedding.weights import read_weights_file
from continual_dml.memory.discriminant_head import unit_rows
from continual_dml.ports import SilentListener
from continual_dml.records import LabelledImages
from continual_dml.settings import ModelSettings, TrainingSettings
from continual_dml.strategies.hooks import StepHooks
from continual_dml.strategies.job import TrainingJob
from continual_dml.strategies.members import Member, Teachers
from continual_dml.strategies.recipes import recipe_for
from continual_dml.strategies.training import train
from continual_dml.strategies.trunks import with_frozen_trunks

CATEGORIES, OF_EACH = 15, 16


class _Clock(StepHooks):
    def __init__(self) -> None:
        self.ends: list[float] = []

    def after_update(self) -> bool:
        self.ends.append(time.perf_counter())
        return True


def main() -> None:
    """Measure each asked number of stages."""
    shared = Path(os.environ.get("CDML_TEST_DATA", "../shared"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--weights", type=Path, default=shared / "weights/mobilenet_v2-imagenet1k.safetensors"
    )
    parser.add_argument("--image-side", type=int, default=128)
    parser.add_argument("--steps", type=int, default=9)
    parser.add_argument("--stages", type=int, nargs="+", default=[1, 0, 2, 2, 0, 1])
    parser.add_argument("--chunk-images", type=int)
    options = parser.parse_args()
    for stages in options.stages:
        kept, step = _seconds(stages or None, options)
        print(
            f"stages {stages or 'all'}: {step:.3f} s a step, {kept:.2f} s for the frozen layers", flush=True
        )


def _seconds(stages: int | None, options: argparse.Namespace) -> tuple[float, float]:
    """Return the seconds that running the frozen layers took, and the median of a step."""
    weights, model = read_weights_file(options.weights), ModelSettings(image_side_pixels=options.image_side)
    training = TrainingSettings(
        train_stages=stages, steps=options.steps, chunk_images=options.chunk_images, device="cpu"
    )
    compute, random = choose_compute(training.device, training.precision), np.random.default_rng(0)
    labels = np.repeat(np.arange(CATEGORIES, dtype=np.int64), OF_EACH)
    side = model.stored_side_pixels
    pixels = random.integers(0, 256, (len(labels), side, side, 3), dtype=np.uint8)
    teachers = Teachers(unit_rows(random.standard_normal((len(labels), model.embedding_dim))))
    member = Member(build_member(model, weights, 0, 0), build_member(model, weights, 0, 1), teachers)
    images = LabelledImages(pixels, labels)
    job = TrainingJob("steps", (member,), images, recipe_for(training), training, 0)
    begin = time.perf_counter()
    job = with_frozen_trunks(job, compute, SilentListener(), None)
    kept, clock = time.perf_counter() - begin, _Clock()
    train(job, compute, SilentListener(), clock)
    return kept, float(np.median(np.diff(clock.ends)[1:]))


if __name__ == "__main__":
    main()
