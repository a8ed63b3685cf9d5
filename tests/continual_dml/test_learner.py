"""The learner on tiny coloured shapes: it learns, remembers by statistics alone, and repeats itself."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from continual_dml.embedding.precision import Compute
from continual_dml.errors import NotFiniteLoss
from continual_dml.memory.drift_doubt import MOST_DIRECTIONS
from continual_dml.ports import SilentListener
from continual_dml.records import LabelledImages
from continual_dml.settings import METHODS, ModelSettings, Settings, TrainingSettings
from continual_dml.strategies.averaging import averaged
from continual_dml.strategies.hooks import StepHooks
from continual_dml.strategies.learner import LearnedTask, Learner
from continual_dml.strategies.state import LearnerState

CPU = Compute(torch.device("cpu"), bf16=False)
SETTINGS = Settings(
    model=ModelSettings(backbone="conv4", pretrained=False, embedding_dim=8, image_side_pixels=16),
    training=TrainingSettings(steps=6, batch_categories=4, images_per_category=3, flip=False),
)


def images(first_label: int, classes: int = 4, per_class: int = 6) -> LabelledImages:
    """Each class is a bar of its own colour and place, with noise."""
    random = np.random.default_rng(first_label)
    labels = np.repeat(np.arange(first_label, first_label + classes), per_class)
    pixels = random.integers(0, 60, size=(len(labels), 18, 18, 3)).astype(np.uint8)
    for row, label in enumerate(labels):
        place = 2 + 3 * (label % 4)
        pixels[row, place : place + 3, :, label % 3] = 200
        pixels[row, :, place : place + 2, (label // 4) % 3] += 80
    return LabelledImages(pixels, labels.astype(np.int64))


def learner(**training: object) -> Learner:
    return Learner(
        replace(SETTINGS, training=replace(SETTINGS.training, **training)), None, CPU, SilentListener()
    )


def learn_three(**training: object) -> list[LearnedTask]:
    learned: list[LearnedTask] = []
    for task in range(3):
        state = learned[-1].state if learned else None
        learned.append(learner(**training).learn(f"task {task}", images(4 * task), state, task))
    return learned


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_three_tasks_and_separates_what_it_learned(method: str) -> None:
    last = learn_three(method=method)[-1]
    assert last.state.tasks_learned == 3
    assert last.state.statistics.class_ids.tolist() == list(range(12))
    vectors = last.state.head(last.features)
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -1)
    labels = images(8).labels
    assert (labels[similarity.argmax(axis=1)] == labels).mean() > 0.9


def test_learning_the_same_task_twice_gives_the_same_bits() -> None:
    first, second = learn_three(), learn_three()
    for one, other in zip(first, second, strict=True):
        for name, group in one.state.to_artefacts().items():
            for key, value in group.items():
                assert np.array_equal(value, other.state.to_artefacts()[name][key]), (name, key)


def test_another_seed_gives_other_weights() -> None:
    weights = [learn_three(seed=seed)[-1].state.weights["projection.weight"] for seed in (0, 1)]
    assert not np.array_equal(*weights)


def test_what_is_kept_grows_by_statistics_and_drift_maps_only() -> None:
    sizes = []
    for task in learn_three():
        sizes.append(dict.fromkeys(("model", "head", "statistics", "drift"), 0))
        for name, group in task.state.to_artefacts().items():
            sizes[-1][name.split("-")[0]] += sum(value.nbytes for value in group.values())
    assert sizes[0]["model"] == sizes[1]["model"] == sizes[2]["model"]
    assert sizes[0]["head"] == sizes[1]["head"] == sizes[2]["head"]
    one_map = 4 * (576 * 576 + 576)
    doubt = 8 * 3 + 4 * (576 + MOST_DIRECTIONS * (2 * 576 + 1))  # at most
    assert sizes[0]["drift"] == 0
    for task in (1, 2):
        assert one_map < sizes[task]["drift"] - sizes[task - 1]["drift"] <= one_map + doubt
    per_direction = 4 + 2 * 576
    per_class = (
        8 * (5 + 576 + 2 * 8) + 16 + 5 * per_direction
    )  # of six images, which differ in five directions
    assert sizes[1]["statistics"] - sizes[0]["statistics"] == 4 * per_class
    assert sizes[2]["statistics"] - sizes[1]["statistics"] == 4 * per_class


def test_all_of_the_state_survives_being_written_down() -> None:
    state = learn_three()[-1].state
    again = LearnerState.from_artefacts(state.to_artefacts())
    fourth = [learner().learn("fourth", images(12), s, 3).state.head.projection for s in (state, again)]
    assert np.allclose(*fourth, rtol=1e-3, atol=1e-4)


def test_the_frozen_method_leaves_the_weights_and_the_earlier_features_as_they_were() -> None:
    first, second, _ = learn_three(method="frozen")
    assert not second.moved
    assert all(np.array_equal(first.state.weights[k], second.state.weights[k]) for k in first.state.weights)
    assert not second.state.drift.steps
    drift = second.state.drift.from_birth(1, 576)
    assert np.allclose(drift(first.features), first.features, atol=1e-6)


def test_a_task_without_two_categories_is_added_without_training() -> None:
    first = learner().learn("first", images(0), None, 0)
    second = learner().learn("single", images(4, classes=1), first.state, 1)
    assert not second.moved
    assert second.state.statistics.class_ids.tolist() == [0, 1, 2, 3, 4]


def test_a_diverging_loss_stops_with_the_task_and_step_and_terms() -> None:
    with pytest.raises(
        NotFiniteLoss, match=r"task 'wild': the loss is not finite at step \d+ \(metric="
    ) as caught:
        learner(learning_rate=1e8, head_learning_rate=1e8, steps=40).learn("wild", images(0), None, 0)
    assert caught.value.task == "wild"
    assert set(caught.value.terms) == {"metric"}


def test_after_t_tasks_each_trained_model_has_the_same_share_of_the_average() -> None:
    weights = [{"w": np.array([value], dtype=np.float32), "n": np.array([7])} for value in (3.0, 6.0, 30.0)]
    mean = averaged(averaged(weights[0], weights[1], 1), weights[2], 2)
    assert mean["w"].tolist() == [13.0]
    assert mean["n"].tolist() == [7], "counters are not averaged"


def test_late_tasks_of_a_long_stream_keep_a_share_of_their_own_in_the_average() -> None:
    old, trained = ({"w": np.array([value], dtype=np.float32)} for value in (0.0, 8.0))
    assert averaged(old, trained, 1, smallest_share=0.25)["w"].tolist() == [4.0]
    assert averaged(old, trained, 31, smallest_share=0.25)["w"].tolist() == [2.0]


def test_a_network_from_scratch_moves_on_faster_than_a_pretrained_one_unless_told_otherwise() -> None:
    training = TrainingSettings()
    assert training.averaging_floor(pretrained=False) > training.averaging_floor(pretrained=True) == 0.0
    assert replace(training, smallest_share=0.3).averaging_floor(pretrained=True) == 0.3


def test_hooks_see_every_step_and_may_change_the_loss() -> None:
    class Doubling(StepHooks):
        def __init__(self) -> None:
            self.calls: list[str] = []

        def before_forward(self, images: torch.Tensor, labels: torch.Tensor) -> None:
            self.calls.append(f"forward {tuple(images.shape)} {len(labels)}")

        def before_backward(self, loss: torch.Tensor) -> torch.Tensor:
            self.calls.append("backward")
            return loss * 2

        def before_update(self) -> None:
            self.calls.append("update")

        def after_update(self) -> bool:
            self.calls.append("done")
            return True

    hooks = Doubling()
    plain = learner(steps=1).learn("plain", images(0), None, 0)
    doubled = learner(steps=1).learn("doubled", images(0), None, 0, hooks)
    assert hooks.calls == ["forward (12, 3, 16, 16) 12", "backward", "update", "done"]
    assert doubled.loss_terms["plugins"] == pytest.approx(plain.loss_terms["metric"])


def test_hooks_may_end_a_task_early() -> None:
    class Once(StepHooks):
        steps = 0

        def after_update(self) -> bool:
            self.steps += 1
            return False

    hooks = Once()
    learner(steps=5).learn("short", images(0), None, 0, hooks)
    assert hooks.steps == 1
