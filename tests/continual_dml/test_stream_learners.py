"""Who learns a stream: task by task, or all of it at once."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from continual_dml.embedding.precision import Compute
from continual_dml.ports import SilentListener
from continual_dml.records import Experience, LabelledImages
from continual_dml.settings import ModelSettings, SelfDistillationSettings, Settings, TrainingSettings
from continual_dml.strategies.first_tasks import FirstTasks, deciding_the_first_task
from continual_dml.strategies.hooks import StepHooks
from continual_dml.strategies.learner import Learner
from continual_dml.strategies.stream_learners import JointLearner, SequentialLearner, joined, with_steps

CPU = Compute(torch.device("cpu"), bf16=False)
SETTINGS = Settings(
    model=ModelSettings(backbone="conv4", pretrained=False, embedding_dim=4, image_side_pixels=16),
    training=TrainingSettings(
        method="finetune", steps=3, batch_categories=2, images_per_category=2, drift_strength=1.0
    ),
)


def images(first_label: int, count: int = 8) -> LabelledImages:
    pixels = np.random.default_rng(first_label).integers(0, 255, (count, 18, 18, 3)).astype(np.uint8)
    return LabelledImages(pixels, np.repeat([first_label, first_label + 1], count // 2))


TASKS = [Experience(f"task {i}", images(2 * i), images(2 * i, 2)) for i in range(3)]


class Stages(SilentListener):
    """Notes the stages and how long each was said to be."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, int]] = []

    def start(self, stage: str, total: int) -> None:
        self.begun.append((stage, total))

    def training(self) -> list[tuple[str, int]]:
        return [(stage, total) for stage, total in self.begun if stage.startswith("training")]


def test_a_sequential_learner_is_the_learner_with_a_first_task_of_its_own_length() -> None:
    stages = Stages()
    sequential = SequentialLearner(SETTINGS, 5, None, CPU, stages)
    learned = [sequential.learn(position, task) for position, task in enumerate(TASKS[:2])]
    assert stages.training() == [("training on 'task 0'", 5), ("training on 'task 1'", 3)]
    first = Learner(with_steps(SETTINGS, 5), None, CPU, SilentListener()).learn(
        "task 0", TASKS[0].train, None, 0
    )
    second = Learner(SETTINGS, None, CPU, SilentListener()).learn("task 1", TASKS[1].train, first.state, 1)
    for one, other in zip(learned, (first, second), strict=True):
        for name, group in one.state.to_artefacts().items():
            for key, value in group.items():
                assert np.array_equal(value, other.state.to_artefacts()[name][key]), (name, key)
    assert list(second.state.drift.steps) == [1], "task 1 moved what was born with task 0"
    assert sequential.extra_bytes == 0


def method(name: str, **training: Any) -> Settings:
    return replace(SETTINGS, training=replace(SETTINGS.training, method=name, **training))


def test_a_shared_first_task_is_learned_once_and_what_follows_is_the_same_to_the_bit() -> None:
    shared, stages = FirstTasks(), Stages()
    every = [
        method("finetune"),
        method("lwf"),
        method("mutual-distillation", head="trained", averaging=False),
    ]
    for settings in every:
        with_shared = SequentialLearner(settings, 5, None, CPU, stages, first_tasks=shared)
        alone = SequentialLearner(settings, 5, None, CPU, SilentListener())
        for position, task in enumerate(TASKS):
            one, other = with_shared.learn(position, task), alone.learn(position, task)
            assert (one.seconds_saved > 0) == (position == 0 and settings is not every[0])
            for name, group in other.state.to_artefacts().items():
                for key, value in group.items():
                    assert np.array_equal(one.state.to_artefacts()[name][key], value), (name, key)
    assert [steps for _, steps in stages.training()] == [5, 3, 3, 3, 3, 3, 3]


@pytest.mark.parametrize(
    "other",
    [
        method("finetune", loss="triplet"),
        method("finetune", self_distillation=SelfDistillationSettings(kind="psd")),
        method("finetune", seed=1),
        replace(SETTINGS, model=replace(SETTINGS.model, cohort=2)),
    ],
)
def test_a_first_task_that_another_setting_decides_is_not_shared(other: Settings) -> None:
    assert deciding_the_first_task(other) != deciding_the_first_task(SETTINGS)


def test_the_head_decides_a_first_task_only_where_a_cohort_is_reduced_by_it() -> None:
    trained, computed = method("finetune"), method("mutual-distillation")
    assert deciding_the_first_task(trained) == deciding_the_first_task(computed)
    reduced = replace(SETTINGS.model, cohort=2, ensemble="pca")
    one, other = (replace(settings, model=reduced) for settings in (trained, computed))
    assert deciding_the_first_task(one) != deciding_the_first_task(other)


def test_with_hooks_the_first_task_is_learned_even_where_it_could_be_shared() -> None:
    shared, stages = FirstTasks(), Stages()
    for hooks in (None, StepHooks()):
        SequentialLearner(SETTINGS, 5, None, CPU, stages, hooks, shared).learn(0, TASKS[0])
    assert stages.training() == [("training on 'task 0'", 5)] * 2


@pytest.mark.parametrize(("first_steps", "total"), [(None, 9), (5, 11)])
def test_a_joint_learner_waits_for_the_last_task_and_then_learns_them_all(
    first_steps: int | None, total: int
) -> None:
    stages = Stages()
    joint = JointLearner(SETTINGS, 3, first_steps, None, CPU, stages)
    assert joint.extra_bytes == 0
    assert joint.learn(0, TASKS[0]) is None
    assert joint.extra_bytes == 8 * 18 * 18 * 3
    assert joint.learn(1, TASKS[1]) is None
    assert stages.begun == []
    learned = joint.learn(2, TASKS[2])
    assert learned is not None
    assert stages.training() == [("training on 'all tasks'", total)]
    assert learned.state.statistics.class_ids.tolist() == [0, 1, 2, 3, 4, 5]
    assert learned.state.statistics.counts.tolist() == [4] * 6
    assert learned.features.shape == (24, 576)
    assert joint.extra_bytes == 24 * 18 * 18 * 3


def test_a_joint_learner_of_epochs_takes_epochs_of_all_images() -> None:
    stages = Stages()
    training = replace(SETTINGS.training, steps=None, epochs=1.0)
    joint = JointLearner(replace(SETTINGS, training=training), 3, None, None, CPU, stages)
    for position, task in enumerate(TASKS):
        joint.learn(position, task)
    assert stages.training() == [("training on 'all tasks'", 24 // 4)]  # batches of 2 x 2 images


def test_joined_images_are_read_in_the_order_of_the_tasks() -> None:
    both = joined(TASKS[0].train, TASKS[1].train)
    assert both.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]
    assert np.array_equal(both.pixels[slice(6, 10)][2], TASKS[1].train.pixels[slice(0, 1)][0])


@pytest.mark.parametrize(
    ("steps", "expected"), [(None, {"steps": None, "epochs": 2.0}), (7, {"steps": 7, "epochs": None})]
)
def test_a_number_of_steps_replaces_epochs(steps: int | None, expected: dict[str, Any]) -> None:
    training = replace(SETTINGS.training, steps=None, epochs=2.0)
    found = with_steps(replace(SETTINGS, training=training), steps).training
    assert {name: getattr(found, name) for name in expected} == expected
