"""What a cohort keeps between tasks, and what its members may be."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from continual_dml.embedding.backbones import build_backbone
from continual_dml.embedding.cohort import build_member
from continual_dml.embedding.precision import Compute
from continual_dml.errors import GalleryError, SettingsError
from continual_dml.ports import SilentListener
from continual_dml.records import LabelledImages
from continual_dml.settings import (
    ModelSettings,
    ObjectiveWeights,
    SelfDistillationSettings,
    Settings,
    TrainingSettings,
)
from continual_dml.strategies.learner import LearnedTask, Learner
from continual_dml.strategies.state import LearnerState, group_names, stored_head

CPU = Compute(torch.device("cpu"), bf16=False)
SETTINGS = Settings(
    model=ModelSettings(backbone="conv4", pretrained=False, embedding_dim=4, image_side_pixels=16, cohort=2),
    training=TrainingSettings(
        method="finetune", steps=2, batch_categories=3, images_per_category=3, drift_strength=1.0
    ),
)


def images(first_label: int, classes: int = 3, per_class: int = 4, side: int = 18) -> LabelledImages:
    """Each class is a bar of its own colour and place, with noise."""
    random = np.random.default_rng(first_label)
    labels = np.repeat(np.arange(first_label, first_label + classes), per_class)
    pixels = random.integers(0, 60, size=(len(labels), side, side, 3)).astype(np.uint8)
    for row, label in enumerate(labels):
        pixels[row, 2 + 2 * (label % 7) : 4 + 2 * (label % 7), :, label % 3] = 200
    return LabelledImages(pixels, labels.astype(np.int64))


def learner(settings: Settings = SETTINGS, pretrained: dict[str, Any] | None = None) -> Learner:
    return Learner(settings, pretrained, CPU, SilentListener())


def with_model(**model: Any) -> Settings:
    return replace(SETTINGS, model=replace(SETTINGS.model, **model))


def with_training(**training: Any) -> Settings:
    return replace(SETTINGS, training=replace(SETTINGS.training, **training))


def learn(count: int, settings: Settings = SETTINGS, pretrained: dict[str, Any] | None = None) -> LearnedTask:
    learned: LearnedTask | None = None
    for task in range(count):
        state = learned.state if learned else None
        side = settings.model.stored_side_pixels
        shown = images(3 * task, side=side)
        learned = learner(settings, pretrained).learn(f"task {task}", shown, state, task)
    assert learned is not None
    return learned


@pytest.fixture(scope="module")
def after_two() -> LearnedTask:
    return learn(2)


def test_a_state_of_one_network_has_the_names_that_it_always_had() -> None:
    names = set(learn(1, with_model(cohort=1)).state.to_artefacts())
    assert names == {"model", "head", "statistics"} == set(group_names(1)), "no task has moved anything yet"


def test_a_cohorts_state_has_a_group_of_each_kind_for_each_member(after_two: LearnedTask) -> None:
    groups = after_two.state.to_artefacts()
    assert sorted(groups) == sorted(group_names(2, groups))
    own = {"model-1", "head-1", "statistics-1", "drift-00000001-1"}
    assert set(groups) - set(group_names(1)) - {"drift-00000001"} == own
    assert not np.array_equal(groups["model"]["projection.weight"], groups["model-1"]["projection.weight"])


@pytest.mark.parametrize("ensemble", ["concatenated", "pca"])
def test_a_state_that_was_written_down_learns_the_next_task_to_the_bit(ensemble: str) -> None:
    settings = with_model(ensemble=ensemble)
    state = learn(2, settings).state
    again = LearnerState.from_artefacts(state.to_artefacts())
    assert again.tasks_learned == 2
    one, other = (learner(settings).learn("third", images(6), s, 2) for s in (state, again))
    assert np.array_equal(one.features, other.features)
    for name, group in one.state.to_artefacts().items():
        for key, value in group.items():
            assert np.array_equal(value, other.state.to_artefacts()[name][key]), (name, key)


def test_features_stand_side_by_side_and_are_carried_by_each_members_own_map(after_two: LearnedTask) -> None:
    state, features = after_two.state, after_two.features
    assert features.shape == (12, 2 * 576)
    assert not np.allclose(features[:, :576], features[:, 576:])
    maps = [member.drift.steps[1].map for member in state.members]
    for row, carried in zip(features.astype(np.float64), state.carried(features, birth=0), strict=True):
        halves = zip(maps, np.split(row, 2), strict=True)
        assert np.allclose(
            carried, np.concatenate([drift.matrix @ half + drift.offset for drift, half in halves])
        )
    assert np.array_equal(state.carried(features, birth=1), features), "the live generation"


@pytest.mark.parametrize("head", ["statistics", "trained"])
@pytest.mark.parametrize(("ensemble", "width"), [("concatenated", 8), ("pca", 4)])
def test_a_head_read_from_two_groups_of_files_is_the_live_one(head: str, ensemble: str, width: int) -> None:
    settings = replace(with_model(ensemble=ensemble), training=with_training(head=head).training)
    learned = learn(1, settings)
    groups = learned.state.to_artefacts()
    stored = stored_head([groups["model"], groups["model-1"]], [groups["head"], groups["head-1"]], settings)
    live = learned.state.live_head(statistics_head=head == "statistics", square_root=False)
    vectors = live(learned.features)
    assert vectors.shape == (12, width)
    assert np.array_equal(stored(learned.features), vectors)


def test_all_parts_of_the_method_work_together_in_first_and_later_tasks() -> None:
    settings = with_training(
        method="mutual-distillation",
        steps=8,
        objective=ObjectiveWeights(virtual=1.0),
        self_distillation=SelfDistillationSettings(kind="obd", teacher="memory", renew_steps=2),
    )
    first = learner(settings).learn("first", images(0), None, 0)
    assert set(first.loss_terms) == {"metric", "cohort", "self_distillation"}
    second = learner(settings).learn("second", images(3), first.state, 1)
    third = learner(settings).learn("third", images(6), second.state, 2)
    expected = {"metric", "specialist", "mutual", "old_relations", "anchor", "cohort", "self_distillation"}
    assert set(second.loss_terms) == expected
    assert set(third.loss_terms) == expected | {"virtual"}
    assert all(value > 0 for value in third.loss_terms.values())
    assert third.state.statistics.class_ids.tolist() == list(range(9))
    for member in third.state.members:
        assert np.array_equal(member.statistics.counts, third.state.statistics.counts)


def test_members_of_different_backbones_learn_together() -> None:
    settings = with_model(cohort_backbones=("squeezenet1_1",), image_side_pixels=32)
    learned = learn(2, settings)
    assert [member.feature_dim for member in learned.state.members] == [576, 512]
    assert learned.features.shape == (12, 576 + 512)
    again = LearnerState.from_artefacts(learned.state.to_artefacts())
    carried = again.carried(learned.features, birth=1)
    head = again.live_head(statistics_head=True, square_root=False)
    assert head(carried).shape == (12, 8)


PRETRAINED_MODEL = ModelSettings(
    backbone="conv4",
    embedding_dim=4,
    image_side_pixels=32,
    freeze_batch_norm="no",
    cohort=3,
    cohort_backbones=("squeezenet1_1", "conv4"),
)


def backbone_weights(name: str, seed: int) -> dict[str, np.ndarray]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return {key: value.numpy() for key, value in build_backbone(name, 32)[0].state_dict().items()}


def test_a_member_starts_from_the_weights_under_its_number_else_from_the_firsts() -> None:
    conv4, squeezenet = backbone_weights("conv4", 0), backbone_weights("squeezenet1_1", 1)
    pretrained = {**conv4, **{f"1:{name}": value for name, value in squeezenet.items()}}
    for number, expected in enumerate((conv4, squeezenet, conv4)):
        backbone = build_member(PRETRAINED_MODEL, pretrained, number, seed=0).backbone
        for name, value in backbone.state_dict().items():
            assert np.array_equal(value.numpy(), expected[name]), (number, name)
    settings = replace(
        SETTINGS, model=PRETRAINED_MODEL, training=with_training(method="mutual-distillation").training
    )
    learned = learn(2, settings, pretrained)
    assert "mutual" in learned.loss_terms, "specialists start from the same weights"


def test_weights_that_are_missing_for_a_backbone_are_named() -> None:
    with pytest.raises(SettingsError, match=r"do not fit backbone 'squeezenet1_1': .* tensors are missing"):
        build_member(PRETRAINED_MODEL, backbone_weights("conv4", 0), 1, seed=0)


def test_a_state_of_another_number_of_networks_is_refused(after_two: LearnedTask) -> None:
    with pytest.raises(GalleryError, match=r"has 2 networks, the settings say cohort = 1"):
        learner(with_model(cohort=1)).learn("third", images(6), after_two.state, 2)


def test_rehearsed_images_are_trained_on_but_not_measured_again() -> None:
    settings = with_model(cohort=1)
    first = learner(settings).learn("first", images(0), None, 0).state
    plain = learner(settings).learn("second", images(3), first, 1)
    rehearsed = learner(settings).learn("second", images(3), first, 1, rehearsal=images(0))
    weights = [learned.state.weights["projection.weight"] for learned in (plain, rehearsed)]
    assert not np.array_equal(*weights)
    assert rehearsed.features.shape == plain.features.shape == (12, 576)
    statistics = rehearsed.state.statistics
    assert statistics.class_ids.tolist() == [0, 1, 2, 3, 4, 5]
    assert statistics.counts.tolist() == [4] * 6
    assert statistics.tasks.tolist() == [0, 0, 0, 1, 1, 1]
    own = rehearsed.features.astype(np.float64).reshape(3, 4, 576).mean(axis=1)
    assert np.allclose(statistics.means[3:], own, atol=1e-6)


def test_rehearsal_gives_a_task_of_one_category_something_to_compare() -> None:
    settings = with_model(cohort=1)
    first = learner(settings).learn("first", images(0), None, 0).state
    assert not learner(settings).learn("one", images(3, classes=1), first, 1).moved
    assert learner(settings).learn("one", images(3, classes=1), first, 1, rehearsal=images(0)).moved
