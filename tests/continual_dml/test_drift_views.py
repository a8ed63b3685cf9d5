"""Items are carried by a map that was fitted to distorted views as well; all else stays with the images."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from continual_dml.embedding.extract import Extracted
from continual_dml.embedding.precision import Compute
from continual_dml.memory.drift_strength import choose_drift_map
from continual_dml.ports import ProgressListener, SilentListener
from continual_dml.records import LabelledImages
from continual_dml.settings import ModelSettings, Settings, TrainingSettings
from continual_dml.strategies.learner import LearnedTask, Learner
from continual_dml.strategies.remembering import first_memory, next_memory

SETTINGS = Settings(
    model=ModelSettings(backbone="conv4", pretrained=False, embedding_dim=8, image_side_pixels=16),
    training=TrainingSettings(steps=3, batch_categories=4, images_per_category=3, flip=False),
)
LABELS = np.repeat(np.arange(12), 5)


class Told(SilentListener):
    """Remembers which stages began, and with how many units."""

    def __init__(self) -> None:
        self.stages: dict[str, int] = {}

    def start(self, stage: str, total: int) -> None:
        self.stages[stage] = total


def images(first_label: int) -> LabelledImages:
    random = np.random.default_rng(first_label)
    pixels = random.integers(0, 256, size=(24, 18, 18, 3)).astype(np.uint8)
    return LabelledImages(pixels, np.repeat(np.arange(first_label, first_label + 4), 6).astype(np.int64))


def learn_two(views: int, listener: ProgressListener | None = None, method: str = "finetune") -> LearnedTask:
    training = replace(SETTINGS.training, drift_views=views, method=method)
    compute = Compute(torch.device("cpu"), bf16=False)
    learner = Learner(replace(SETTINGS, training=training), None, compute, listener or SilentListener())
    first = learner.learn("first", images(0), None, 1)
    return learner.learn("second", images(4), first.state, 2)


def test_views_change_how_items_are_carried_and_nothing_else() -> None:
    without, with_views = (learn_two(views).state.members[0] for views in (0, 2))
    for name, weights in without.weights.items():
        assert np.array_equal(with_views.weights[name], weights)
    assert np.array_equal(with_views.statistics.means, without.statistics.means)
    assert np.array_equal(with_views.statistics.scatter, without.statistics.scatter)
    assert np.array_equal(with_views.head.projection, without.head.projection)
    assert not np.array_equal(with_views.drift.steps[2].map.matrix, without.drift.steps[2].map.matrix)


def test_as_many_views_are_looked_at_as_the_settings_say() -> None:
    told = Told()
    learn_two(3, told)
    assert told.stages["looking at distorted views"] == 3 * 24


@pytest.mark.parametrize(("views", "method"), [(0, "finetune"), (2, "frozen")])
def test_no_view_is_looked_at_where_none_is_wanted_or_nothing_moved(views: int, method: str) -> None:
    told = Told()
    learn_two(views, told, method)
    assert "looking at distorted views" not in told.stages


def test_the_items_map_is_the_one_of_images_and_views_together() -> None:
    random = np.random.default_rng(0)
    before = random.normal(size=(3 * len(LABELS), 6)).astype(np.float32)
    after = (before @ random.normal(size=(6, 6)) + 1.0).astype(np.float32)
    own, more = slice(0, len(LABELS)), slice(len(LABELS), None)
    outputs = np.zeros((len(LABELS), 2), dtype=np.float32)
    seen = Extracted(before[own], outputs), Extracted(after[own], outputs)
    memory = first_memory({}, seen[0], LABELS, SETTINGS)
    renewed, choice = next_memory(
        memory, {}, seen, LABELS, task=1, generation=2, settings=SETTINGS, views=(before[more], after[more])
    )
    expected = choose_drift_map(before, after, np.tile(LABELS, 3), asked=len(LABELS))
    assert choice == expected
    carried = renewed.drift.steps[2].map(before.astype(np.float64))
    assert np.abs(carried - after).mean() < 0.1 * np.abs(before - after).mean()


def test_only_images_are_asked_what_they_find() -> None:
    random = np.random.default_rng(1)
    before = random.normal(size=(2 * len(LABELS), 4))
    after = before + 0.1 * random.normal(size=before.shape)
    after[len(LABELS) :] = random.normal(size=(len(LABELS), 4))
    twice = np.tile(LABELS, 2)
    all_of_them, images_alone = (choose_drift_map(before, after, twice, asked=n) for n in (None, len(LABELS)))
    assert all_of_them.errors == images_alone.errors
    assert (
        images_alone.found_uncorrected
        == choose_drift_map(before[: len(LABELS)], after[: len(LABELS)], LABELS).found_uncorrected
    )
    assert images_alone.found_uncorrected != all_of_them.found_uncorrected
