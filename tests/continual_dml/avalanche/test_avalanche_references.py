"""Reference methods learn a stream like finetune does, with a penalty or with stored images on top."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from continual_dml.embedding.precision import Compute
from continual_dml.errors import SettingsError, UnknownChoice
from continual_dml.ports import SilentListener
from continual_dml.records import Experience, LabelledImages
from continual_dml.settings import Settings
from continual_dml.strategies.avalanche_references import REFERENCES, PluginLearner, reference_learner
from continual_dml.strategies.avalanche_replay import Exemplars, ReplayLearner
from continual_dml.strategies.learner import LearnedTask
from continual_dml.strategies.stream_learners import SequentialLearner

Streams = Callable[..., list[Experience]]
Make = Callable[..., PluginLearner | ReplayLearner]
PLUGINS = ("ewc", "mas", "si")


@pytest.fixture
def make(settings: Settings, compute: Compute) -> Make:
    """Return a function that makes a reference learner by name."""

    def made(name: str, **options: object) -> PluginLearner | ReplayLearner:
        other = replace(settings, training=replace(settings.training, method="mutual-distillation"))
        return reference_learner(name, other, None, compute, SilentListener(), **options)

    return made


@pytest.fixture
def finetune(settings: Settings, compute: Compute) -> Callable[..., SequentialLearner]:
    """Return a function that makes the learner that references are compared with."""
    return lambda first_steps=None: SequentialLearner(settings, first_steps, None, compute, SilentListener())


def learn(learner: object, tasks: list[Experience]) -> list[LearnedTask]:
    return [learner.learn(position, task) for position, task in enumerate(tasks)]


def same_weights(one: LearnedTask, other: LearnedTask) -> bool:
    return all(np.array_equal(one.state.weights[name], value) for name, value in other.state.weights.items())


def moved(before: LearnedTask, after: LearnedTask) -> float:
    name = "backbone.blocks.0.0.weight"
    return float(np.abs(after.state.weights[name] - before.state.weights[name]).mean())


def labelled(images: LabelledImages) -> set[tuple[bytes, int]]:
    return {(images.pixels[row].tobytes(), int(label)) for row, label in enumerate(images.labels)}


def test_the_plugins_are_those_that_fit_an_embedder() -> None:
    assert sorted(REFERENCES) == list(PLUGINS)


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_of_no_strength_is_finetune_bit_for_bit(
    name: str, make: Make, finetune: Callable[..., SequentialLearner], stream: Streams
) -> None:
    ours = learn(make(name, strength=0.0, first_steps=6), stream())
    plain = learn(finetune(first_steps=6), stream())
    for one, other in zip(ours, plain, strict=True):
        assert same_weights(one, other)
        assert np.array_equal(one.features, other.features)
        assert np.array_equal(one.state.head.projection, other.state.head.projection)
        assert np.array_equal(one.state.statistics.counts, other.state.statistics.counts)


@pytest.mark.parametrize("name", PLUGINS)
def test_a_strong_plugin_holds_the_weights_of_later_tasks_back(
    name: str, make: Make, finetune: Callable[..., SequentialLearner], stream: Streams
) -> None:
    free = learn(finetune(), stream())
    held = learn(make(name, strength=1e6), stream())
    assert same_weights(held[0], free[0]), "the first task has nothing to be held to"
    assert 0 < moved(*held) < 0.9 * moved(*free)
    assert held[1].loss_terms["plugins"] > 0
    assert held[1].state.tasks_learned == 2


def test_extra_bytes_are_importances_and_old_weights(make: Make, stream: Streams) -> None:
    tasks = stream()
    learners = {name: make(name) for name in PLUGINS}
    assert {name: learner.extra_bytes for name, learner in learners.items()} == dict.fromkeys(PLUGINS, 0)
    learned = {name: learn(learner, tasks)[-1] for name, learner in learners.items()}
    parameters = list(learned["mas"].embedder.parameters())
    weights = sum(p.numel() for p in parameters)
    free = sum(p.numel() for p in parameters if p.ndim == 1)  # of batch norm
    assert learners["mas"].extra_bytes == 4 * 2 * weights
    assert learners["ewc"].extra_bytes == 4 * 2 * weights * 2, "for each of two tasks"
    assert learners["si"].extra_bytes == 4 * 3 * (weights - free)


def test_replay_counts_each_image_once_and_trains_on_old_ones_again(
    make: Make, finetune: Callable[..., SequentialLearner], stream: Streams
) -> None:
    tasks = stream()
    replayed, plain = learn(make("replay"), tasks), learn(finetune(), tasks)
    assert same_weights(replayed[0], plain[0])
    assert not same_weights(replayed[1], plain[1])
    statistics = replayed[1].state.statistics
    assert dict(zip(statistics.class_ids.tolist(), statistics.counts.tolist(), strict=True)) == dict.fromkeys(
        range(8), 4
    )
    assert replayed[1].features.shape == plain[1].features.shape


def test_replay_keeps_the_bytes_of_its_images(settings: Settings, compute: Compute, stream: Streams) -> None:
    learner = ReplayLearner(settings, None, compute, SilentListener(), per_category=2)
    assert learner.extra_bytes == 0
    learn(learner, stream())
    assert learner.extra_bytes == 8 * 2 * (18 * 18 * 3 + 8), "pixels and an eight-byte label"


def test_replay_is_the_same_again_with_the_same_seed(make: Make, stream: Streams) -> None:
    one, other = (learn(make("replay"), stream(train=12))[1] for _ in range(2))
    assert same_weights(one, other)


def test_exemplars_are_some_images_of_every_category(drawn: Callable[..., LabelledImages]) -> None:
    tasks = [drawn(np.repeat([0, 1], 5), 18, seed=0), drawn(np.repeat([1, 2], 5), 18, seed=1)]
    exemplars = Exemplars(per_category=3, seed=0)
    assert exemplars.images() is None
    for task in tasks:
        exemplars.add(task)
    kept = exemplars.images()
    assert kept.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert len(labelled(kept)) == 9, "no image twice"
    assert labelled(kept) <= labelled(tasks[0]) | labelled(tasks[1])
    assert not np.shares_memory(kept.pixels, tasks[0].pixels)


def test_exemplars_of_a_category_come_from_all_its_tasks_alike(drawn: Callable[..., LabelledImages]) -> None:
    early, late = drawn(np.zeros(4, dtype=int), 18, seed=0), drawn(np.zeros(12, dtype=int), 18, seed=1)
    early_ones = {image.tobytes() for image in early.pixels}
    found = 0
    for seed in range(50):
        exemplars = Exemplars(per_category=4, seed=seed)
        exemplars.add(early)
        exemplars.add(late)
        found += sum(image.tobytes() in early_ones for image in exemplars.images().pixels)
    assert 30 < found < 70, "four of sixteen offered, so one in four of the 200 kept"


def test_fewer_images_than_exemplars_are_all_kept(drawn: Callable[..., LabelledImages]) -> None:
    exemplars = Exemplars(per_category=10, seed=0)
    exemplars.add(drawn(np.repeat([4, 7], [3, 1]), 18, seed=0))
    assert exemplars.images().labels.tolist() == [4, 4, 4, 7]


@pytest.mark.parametrize("name", [*PLUGINS, "replay"])
def test_a_task_of_one_category_is_added_without_training(
    name: str, make: Make, stream: Streams, drawn: Callable[..., LabelledImages]
) -> None:
    lonely = drawn(np.array([9]), 18, seed=5)
    first, last = stream()
    learned = learn(make(name), [first, Experience("lonely", lonely, lonely), last])
    assert 9 in learned[-1].state.statistics.class_ids
    assert learned[-1].state.tasks_learned == 3
    assert learned[1].moved is (name == "replay"), "with stored images there is something to compare"


def test_an_unknown_reference_is_refused_with_a_suggestion(make: Make) -> None:
    with pytest.raises(UnknownChoice, match="unknown reference method 'replya': did you mean replay"):
        make("replya")


def test_a_plugin_refuses_a_cohort(settings: Settings, compute: Compute) -> None:
    cohort = replace(settings, model=replace(settings.model, cohort=2))
    with pytest.raises(SettingsError, match="see one network, the settings ask for 2"):
        reference_learner("ewc", cohort, None, compute, SilentListener())
