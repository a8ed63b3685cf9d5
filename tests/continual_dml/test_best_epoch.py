"""The best test epoch is measured beside training and changes nothing of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from continual_dml.embedding.extract import extract
from continual_dml.embedding.precision import Compute
from continual_dml.memory.discriminant_head import unit_rows
from continual_dml.metrics.recall import retrieval_metrics
from continual_dml.ports import SilentListener
from continual_dml.records import LabelledImages
from continual_dml.settings import ModelSettings, Settings, TrainingSettings
from continual_dml.strategies.learner import LearnedTask, Learner
from continual_dml.workflows.best_epoch import BestEpoch

CPU = Compute(torch.device("cpu"), bf16=False)
SETTINGS = Settings(
    model=ModelSettings(backbone="conv4", pretrained=False, embedding_dim=8, image_side_pixels=16),
    training=TrainingSettings(steps=6, batch_categories=4, images_per_category=3, flip=False),
)


def images(first_label: int) -> LabelledImages:
    random = np.random.default_rng(first_label)
    labels = np.repeat(np.arange(first_label, first_label + 4), 6)
    pixels = random.integers(0, 60, size=(len(labels), 18, 18, 3)).astype(np.uint8)
    for row, label in enumerate(labels):
        pixels[row, 2 + 3 * (label % 4) :, :, label % 3] = 200
    return LabelledImages(pixels, labels.astype(np.int64))


def learned(watch: BestEpoch | None, steps: int = 6) -> LearnedTask:
    settings = replace(SETTINGS, training=replace(SETTINGS.training, steps=steps))
    return Learner(settings, None, CPU, SilentListener()).learn("task", images(0), None, -1, watch)


def test_each_pass_over_the_images_is_measured_and_the_last_one_is_the_model_that_stays() -> None:
    watch = BestEpoch(images(4), CPU)  # 24 images in batches of 12: a pass is 2 steps
    after = learned(watch)
    assert len(watch.recalls) == 3
    assert watch.best == max(watch.recalls)
    vectors = unit_rows(extract(after.embedder, images(4).pixels, CPU).outputs)
    labels = images(4).labels
    asked = retrieval_metrics(vectors, labels, vectors, labels, ks=(1,), exclude_self=True)
    assert watch.recalls[-1] == pytest.approx(asked.recall[1])


def test_where_some_images_ask_and_some_do_not_the_epochs_are_measured_so() -> None:
    asks = np.arange(24) % 3 == 0
    watch = BestEpoch(images(4), CPU, asks)
    after = learned(watch)
    vectors, labels = unit_rows(extract(after.embedder, images(4).pixels, CPU).outputs), images(4).labels
    asked = retrieval_metrics(vectors[asks], labels[asks], vectors[~asks], labels[~asks], ks=(1,))
    assert watch.recalls[-1] == pytest.approx(asked.recall[1])


def test_measuring_changes_no_weight() -> None:
    watched, alone = learned(BestEpoch(images(4), CPU)), learned(None)
    for name, value in alone.state.weights.items():
        assert np.array_equal(watched.state.weights[name], value), name


def test_a_task_shorter_than_a_pass_has_no_best_epoch() -> None:
    watch = BestEpoch(images(4), CPU)
    learned(watch, steps=1)
    assert watch.best is None
