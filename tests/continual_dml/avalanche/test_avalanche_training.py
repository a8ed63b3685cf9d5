"""Training inside Avalanche's loop: the same result as the learner alone, and plugins that take part."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from continual_dml.embedding.precision import Compute
from continual_dml.errors import EmptyTask, NotFiniteLoss, SettingsError
from continual_dml.ports import SilentListener
from continual_dml.records import Experience, LabelledImages
from continual_dml.settings import Settings
from continual_dml.strategies.avalanche_strategy import EmbeddingStrategy
from continual_dml.strategies.learner import Learner
from streams.avalanche_bridge import as_avalanche_benchmark

from avalanche.benchmarks import CLScenario  # isort: skip - after ours, which guard the import
from avalanche.core import SupervisedPlugin  # isort: skip
from avalanche.training.plugins import EWCPlugin, ReplayPlugin  # isort: skip

STEP = [
    "before_training_iteration",
    "before_forward",
    "after_forward",
    "before_backward",
    "after_backward",
    "before_update",
    "after_update",
    "after_training_iteration",
]


@pytest.mark.parametrize("method", ["finetune", "mutual-distillation", "frozen"])
def test_it_learns_bit_for_bit_what_the_learner_learns_alone(
    method: str,
    strategy: Callable[..., EmbeddingStrategy],
    stream: Callable[..., list[Experience]],
    benchmark: CLScenario,
    settings: Settings,
    compute: Compute,
) -> None:
    wrapped = strategy(method=method)
    wrapped.train(benchmark.train_stream)
    alone = Learner(
        replace(settings, training=replace(settings.training, method=method)), None, compute, SilentListener()
    )
    state = None
    for task, experience in enumerate(stream()):
        state = alone.learn(experience.name, experience.train, state, task - 1).state
    assert wrapped.state.tasks_learned == 2
    for name, value in state.weights.items():
        assert np.array_equal(value, wrapped.state.weights[name]), name
        assert np.array_equal(value, wrapped.model.embedder.state_dict()[name].numpy()), name
    assert np.array_equal(state.head.projection, wrapped.state.head.projection)


def test_plugins_get_every_training_callback_in_avalanches_order(
    strategy: Callable[..., EmbeddingStrategy], benchmark: CLScenario, recorder: SupervisedPlugin
) -> None:
    learner = strategy(plugins=[recorder], steps=3)
    learner.train(benchmark.train_stream)
    one_epoch = ["before_training_epoch", *STEP, "after_training_epoch"]  # 16 images in batches of 12
    one_experience = [
        "before_train_dataset_adaptation",
        "after_train_dataset_adaptation",
        "before_training_exp",
        *one_epoch * 3,
        "after_training_exp",
    ]
    assert recorder.calls == ["before_training", *one_experience * 2, "after_training"]
    assert learner.clock.train_iterations == 6
    assert learner.clock.train_exp_counter == 2
    assert learner.train_epochs == 3


def test_a_method_that_does_not_train_still_frames_each_experience(
    strategy: Callable[..., EmbeddingStrategy], benchmark: CLScenario, recorder: SupervisedPlugin
) -> None:
    learner = strategy(plugins=[recorder], method="frozen", steps=1)
    learner.train(benchmark.train_stream)
    assert recorder.calls.count("before_training_exp") == recorder.calls.count("after_training_exp") == 2
    assert recorder.calls.count("before_training_epoch") == 1


def test_a_plugin_may_add_to_the_loss(
    strategy: Callable[..., EmbeddingStrategy], benchmark: CLScenario
) -> None:
    class Shrinking(SupervisedPlugin):
        def before_backward(self, strategy: EmbeddingStrategy, **_: object) -> None:
            strategy.loss += 50.0 * sum(
                p.pow(2).sum() for p in strategy.model.embedder.projection.parameters()
            )

    plain, shrunk = strategy(), strategy(plugins=[Shrinking()])
    for learner in (plain, shrunk):
        learner.train(benchmark.train_stream[0])
    norms = [np.linalg.norm(learner.state.weights["projection.weight"]) for learner in (plain, shrunk)]
    assert norms[1] < norms[0]


def test_avalanches_own_ewc_holds_the_weights_back(
    strategy: Callable[..., EmbeddingStrategy], benchmark: CLScenario
) -> None:
    free, held = strategy(), strategy(plugins=[EWCPlugin(ewc_lambda=1e6)])
    moved = []
    for learner in (free, held):
        learner.train(benchmark.train_stream[0])
        before = learner.state.weights
        learner.train(benchmark.train_stream[1])
        name = "backbone.blocks.0.0.weight"
        moved.append(np.abs(learner.state.weights[name] - before[name]).mean())
    assert 0 < moved[1] < 0.9 * moved[0]


def test_a_plugin_may_stop_the_experience_and_the_next_one_runs_again(
    strategy: Callable[..., EmbeddingStrategy], benchmark: CLScenario
) -> None:
    class StopAfterTwo(SupervisedPlugin):
        def after_training_iteration(self, strategy: EmbeddingStrategy, **_: object) -> None:
            if strategy.clock.train_exp_iterations == 1:  # the clock counts after the plugins
                strategy.stop_training()

    learner = strategy(plugins=[StopAfterTwo()])
    learner.train(benchmark.train_stream[0])
    assert learner.clock.train_iterations == 2
    learner.train(benchmark.train_stream[1])
    assert learner.clock.train_iterations == 4
    assert learner.state.tasks_learned == 2


def test_a_plugin_that_brings_its_own_batches_is_refused(
    strategy: Callable[..., EmbeddingStrategy], benchmark: CLScenario
) -> None:
    learner = strategy(plugins=[ReplayPlugin(mem_size=8)])
    with pytest.warns(DeprecationWarning, match="deprecated function update"):  # within Avalanche 0.6 itself
        learner.train(benchmark.train_stream[0])
    with pytest.raises(SettingsError, match="replaced the data loader"):
        learner.train(benchmark.train_stream[1])
    assert learner.state.tasks_learned == 1


def test_a_loss_with_proxies_trains_and_evaluates(
    strategy: Callable[..., EmbeddingStrategy], benchmark: CLScenario
) -> None:
    learner = strategy(loss="proxy-anchor")
    learner.train(benchmark.train_stream)
    learner.eval(benchmark.test_stream)
    assert learner.recall_matrix.average() is not None


def test_a_first_experience_that_cannot_be_learned_is_refused(
    strategy: Callable[..., EmbeddingStrategy], drawn: Callable[..., LabelledImages]
) -> None:
    lonely = as_avalanche_benchmark([Experience("x", *[drawn(np.zeros(3, dtype=int), 18, 0)] * 2)], 16)
    learner = strategy()
    with pytest.raises(EmptyTask, match="experience 0: the first experience needs at least two categories"):
        learner.train(lonely.train_stream)
    assert learner.state is None


def test_a_training_that_fails_leaves_the_strategy_as_it_was(
    strategy: Callable[..., EmbeddingStrategy], benchmark: CLScenario
) -> None:
    class Breaking(SupervisedPlugin):
        armed = True

        def before_backward(self, strategy: EmbeddingStrategy, **_: object) -> None:
            if self.armed and strategy.clock.train_iterations == 6:  # the third of the second experience
                self.armed = False
                strategy.loss *= float("nan")

    learner = strategy(plugins=[Breaking()])
    learner.train(benchmark.train_stream[0])
    before = learner.state
    with pytest.raises(NotFiniteLoss, match="experience 1"):
        learner.train(benchmark.train_stream[1])
    assert learner.state is before
    weights = learner.model.embedder.state_dict()
    assert all(np.array_equal(value, weights[name].numpy()) for name, value in before.weights.items())
    learner.train(benchmark.train_stream[1])
    assert learner.state.tasks_learned == 2
