"""The learner inside Avalanche's loops: the same result as alone, plugins called, and Naive agrees."""

import importlib.util
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from continual_dml.embedding.precision import Compute
from continual_dml.errors import EmptyTask, NotFiniteLoss, SettingsError
from continual_dml.ports import SilentListener
from continual_dml.records import Experience, LabelledImages
from continual_dml.settings import ModelSettings, Settings, TrainingSettings
from continual_dml.strategies.avalanche_metrics import RetrievalMetric, retrieval_evaluator
from continual_dml.strategies.avalanche_strategy import EmbeddingStrategy
from continual_dml.strategies.learner import Learner
from streams.avalanche_bridge import as_avalanche_benchmark, labelled_images

from avalanche.core import SupervisedPlugin  # isort: skip - after the bridge, which guards the import
from avalanche.evaluation.metrics import loss_metrics  # isort: skip
from avalanche.logging import TextLogger  # isort: skip
from avalanche.training.plugins import EvaluationPlugin, EWCPlugin, ReplayPlugin  # isort: skip

CPU = Compute(torch.device("cpu"), bf16=False)
SETTINGS = Settings(
    model=ModelSettings(backbone="conv4", pretrained=False, embedding_dim=8, image_side_pixels=16),
    training=TrainingSettings(
        method="finetune", steps=4, batch_categories=4, images_per_category=3, seed=3, device="cpu"
    ),
)
read = partial(labelled_images, stored_side_pixels=18)


def drawn(labels: np.ndarray, side: int, seed: int, noise: float = 45.0) -> LabelledImages:
    """Each class is a mosaic of random colours, moved a little and covered with noise."""
    random = np.random.default_rng(seed)
    pixels = np.empty((len(labels), side, side, 3), dtype=np.uint8)
    for row, label in enumerate(labels):
        mosaic = np.random.default_rng(1000 + label).integers(40, 216, (4, 4, 3))
        picture = np.kron(mosaic, np.ones((side // 4 + 1, side // 4 + 1, 1)))[:side, :side]
        moved = np.roll(picture, random.integers(-3, 4, size=2), axis=(0, 1))
        pixels[row] = np.clip(moved + random.normal(0, noise, moved.shape), 0, 255)
    return LabelledImages(pixels, labels.astype(np.int64))


def stream(
    tasks: int = 2, classes: int = 4, side: int = 18, train: int = 4, query: int = 2, noise: float = 45.0
) -> list[Experience]:
    parts = [np.arange(task * classes, (task + 1) * classes) for task in range(tasks)]
    return [
        Experience(
            f"task {task}",
            drawn(np.repeat(part, train), side, task, noise),
            drawn(np.repeat(part, query), side, 100 + task, noise),
        )
        for task, part in enumerate(parts)
    ]


BENCHMARK = as_avalanche_benchmark(stream(), 16)


def strategy(
    plugins: object = None, evaluator: object = None, eval_every: int = -1, **training: object
) -> EmbeddingStrategy:
    settings = replace(SETTINGS, training=replace(SETTINGS.training, **training))
    return EmbeddingStrategy(
        settings=settings,
        images_of=read,
        compute=CPU,
        gallery=BENCHMARK.train_stream,
        plugins=plugins,
        evaluator=evaluator,
        eval_every=eval_every,
    )


@pytest.mark.parametrize("method", ["finetune", "mutual-distillation", "frozen"])
def test_it_learns_bit_for_bit_what_the_learner_learns_alone(method: str) -> None:
    wrapped = strategy(method=method)
    wrapped.train(BENCHMARK.train_stream)
    alone = Learner(
        replace(SETTINGS, training=replace(SETTINGS.training, method=method)), None, CPU, SilentListener()
    )
    state = None
    for task, experience in enumerate(stream()):
        state = alone.learn(experience.name, experience.train, state, task - 1).state
    assert wrapped.state.tasks_learned == 2
    for name, value in state.weights.items():
        assert np.array_equal(value, wrapped.state.weights[name]), name
        assert np.array_equal(value, wrapped.model.embedder.state_dict()[name].numpy()), name
    assert np.array_equal(state.head.projection, wrapped.state.head.projection)


class Recorder(SupervisedPlugin):
    """Notes every callback and what the strategy looks like then."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.models: list[object] = []

    def note(self, name: str, strategy: EmbeddingStrategy) -> None:
        self.calls.append(name)
        if name == "before_training_exp":
            held = {id(p) for group in strategy.optimizer.param_groups for p in group["params"]}
            assert held == {id(p) for p in strategy.model.parameters()}
        if name == "before_forward":
            assert strategy.mb_x.shape == (12, 3, 16, 16)
            assert strategy.mb_y.shape == (12,)
            assert strategy.mb_task_id.tolist() == [0] * 12
            assert strategy.loss.tolist() == [0.0]
        if name in ("before_backward", "after_eval_iteration"):
            assert torch.allclose(strategy.mb_output.norm(dim=1), torch.ones(len(strategy.mb_y)))
            assert set(strategy.mb_y.tolist()) <= set(strategy.experience.classes_in_this_experience)
        if name == "before_update":
            assert all(p.grad is not None for p in strategy.model.parameters())


def _noting(name: str) -> object:
    def callback(self: Recorder, strategy: EmbeddingStrategy, **_: object) -> None:
        self.note(name, strategy)

    return callback


for _name in dir(SupervisedPlugin):
    if _name.startswith(("before_", "after_")):
        setattr(Recorder, _name, _noting(_name))

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


def test_plugins_get_every_training_callback_in_avalanches_order() -> None:
    recorder = Recorder()
    learner = strategy(plugins=[recorder], steps=3)
    learner.train(BENCHMARK.train_stream)
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


def test_plugins_get_every_evaluation_callback_in_avalanches_order() -> None:
    recorder = Recorder()
    learner = strategy(plugins=[recorder])
    learner.train(BENCHMARK.train_stream[0])
    recorder.calls.clear()
    learner.eval(BENCHMARK.test_stream)
    one = [
        "before_eval_dataset_adaptation",
        "after_eval_dataset_adaptation",
        "before_eval_exp",
        "before_eval_iteration",
        "before_eval_forward",
        "after_eval_forward",
        "after_eval_iteration",
        "after_eval_exp",
    ]
    assert recorder.calls == ["before_eval", *one * 2, "after_eval"]


def test_a_method_that_does_not_train_still_frames_each_experience() -> None:
    recorder = Recorder()
    learner = strategy(plugins=[recorder], method="frozen", steps=1)
    learner.train(BENCHMARK.train_stream)
    assert recorder.calls.count("before_training_exp") == recorder.calls.count("after_training_exp") == 2
    assert recorder.calls.count("before_training_epoch") == 1


def test_a_plugin_may_add_to_the_loss() -> None:
    class Shrinking(SupervisedPlugin):
        def before_backward(self, strategy: EmbeddingStrategy, **_: object) -> None:
            strategy.loss += 50.0 * sum(
                p.pow(2).sum() for p in strategy.model.embedder.projection.parameters()
            )

    plain, shrunk = strategy(), strategy(plugins=[Shrinking()])
    for learner in (plain, shrunk):
        learner.train(BENCHMARK.train_stream[0])
    norms = [np.linalg.norm(learner.state.weights["projection.weight"]) for learner in (plain, shrunk)]
    assert norms[1] < norms[0]


def test_avalanches_own_ewc_holds_the_weights_back() -> None:
    free, held = strategy(), strategy(plugins=[EWCPlugin(ewc_lambda=1e6)])
    moved = []
    for learner in (free, held):
        learner.train(BENCHMARK.train_stream[0])
        before = learner.state.weights
        learner.train(BENCHMARK.train_stream[1])
        name = "backbone.blocks.0.0.weight"
        moved.append(np.abs(learner.state.weights[name] - before[name]).mean())
    assert 0 < moved[1] < 0.9 * moved[0]


def test_a_plugin_may_stop_the_experience_and_the_next_one_runs_again() -> None:
    class StopAfterTwo(SupervisedPlugin):
        def after_training_iteration(self, strategy: EmbeddingStrategy, **_: object) -> None:
            if strategy.clock.train_exp_iterations == 1:  # the clock counts after the plugins
                strategy.stop_training()

    learner = strategy(plugins=[StopAfterTwo()])
    learner.train(BENCHMARK.train_stream[0])
    assert learner.clock.train_iterations == 2
    learner.train(BENCHMARK.train_stream[1])
    assert learner.clock.train_iterations == 4
    assert learner.state.tasks_learned == 2


def test_a_plugin_that_brings_its_own_batches_is_refused() -> None:
    learner = strategy(plugins=[ReplayPlugin(mem_size=8)])
    with pytest.warns(DeprecationWarning, match="deprecated function update"):  # within Avalanche 0.6 itself
        learner.train(BENCHMARK.train_stream[0])
    with pytest.raises(SettingsError, match="replaced the data loader"):
        learner.train(BENCHMARK.train_stream[1])
    assert learner.state.tasks_learned == 1


def test_evaluation_gives_recalls_by_name_and_fills_the_recall_matrix() -> None:
    learner = strategy()
    for experience in BENCHMARK.train_stream:
        learner.train(experience)
        metrics = learner.eval(BENCHMARK.test_stream)
    matrix = learner.recall_matrix
    assert [len(row) for row in matrix.rows] == [1, 2]
    assert metrics["Recall@1/eval_phase/test_stream/Task000/Exp000"] == matrix.rows[1][0]
    assert metrics["Recall@1/eval_phase/test_stream/Task000/Exp001"] == matrix.rows[1][1]
    assert metrics["StreamRecall@1/eval_phase/test_stream"] == pytest.approx(matrix.average())
    assert metrics["StreamForgetting/eval_phase/test_stream"] == matrix.forgetting()
    assert learner.recall_matrix_at(8).rows[1][1] >= matrix.rows[1][1]


@pytest.mark.parametrize("head", ["trained", "statistics"])
def test_evaluation_agrees_with_a_slow_search_by_hand(head: str) -> None:
    learner = strategy(head=head)
    learner.train(BENCHMARK.train_stream)
    learner.eval(BENCHMARK.test_stream[1])
    parts = stream()

    def vectors(images: LabelledImages) -> np.ndarray:
        from continual_dml.embedding.extract import extract

        seen = extract(learner.model.embedder, images.pixels, CPU)
        if head == "statistics":
            return learner.state.head(seen.features)
        return seen.outputs / np.linalg.norm(seen.outputs, axis=1, keepdims=True)

    gallery = [(v, y) for part in parts for v, y in zip(vectors(part.train), part.train.labels, strict=True)]
    found = [
        max(gallery, key=lambda item: float(item[0] @ asked))[1] == label
        for asked, label in zip(vectors(parts[1].query), parts[1].query.labels, strict=True)
    ]
    assert learner.recall_matrix.rows[1][1] == pytest.approx(np.mean(found))


def test_queries_of_experiences_not_learned_yet_are_left_out() -> None:
    learner = strategy()
    learner.train(BENCHMARK.train_stream[0])
    metrics = learner.eval(BENCHMARK.test_stream)
    assert "Recall@1/eval_phase/test_stream/Task000/Exp000" in metrics
    assert "Recall@1/eval_phase/test_stream/Task000/Exp001" not in metrics
    assert len(learner.recall_matrix.rows) == 1


def test_a_gallery_given_to_eval_is_searched_as_a_whole() -> None:
    learner = strategy()
    learner.train(BENCHMARK.train_stream[0])
    learner.eval(BENCHMARK.test_stream[1], gallery=BENCHMARK.train_stream)
    assert learner.retrieval.queries == 8
    learner.eval(BENCHMARK.test_stream[1])
    assert (learner.retrieval.queries, learner.retrieval.without_positive) == (0, 8)


def test_evaluation_needs_a_gallery() -> None:
    learner = EmbeddingStrategy(settings=SETTINGS, images_of=read, compute=CPU)
    with pytest.raises(SettingsError, match="no gallery to search"):
        learner.eval(BENCHMARK.test_stream)


def test_evaluating_amid_training_changes_nothing_but_the_metrics() -> None:
    watched, plain = strategy(eval_every=1), strategy()
    metrics = watched.train(BENCHMARK.train_stream[0], eval_streams=[BENCHMARK.test_stream])
    plain.train(BENCHMARK.train_stream[0])
    assert "Recall@1/eval_phase/test_stream/Task000/Exp000" in metrics
    assert all(np.array_equal(v, watched.state.weights[n]) for n, v in plain.state.weights.items())
    assert watched.model.training == plain.model.training


def test_loggers_and_other_metrics_of_avalanche_work(tmp_path: Path) -> None:
    with (tmp_path / "log.txt").open("w") as file:
        evaluator = EvaluationPlugin(
            RetrievalMetric(), loss_metrics(epoch=True, experience=True), loggers=[TextLogger(file)]
        )
        learner = strategy(evaluator=evaluator)
        trained = learner.train(BENCHMARK.train_stream[0])
        learner.eval(BENCHMARK.test_stream)
    text = (tmp_path / "log.txt").read_text()
    assert trained["Loss_Epoch/train_phase/train_stream/Task000"] > 0
    assert "Recall@1/eval_phase/test_stream/Task000/Exp000" in text


def test_the_default_evaluator_never_measures_classification() -> None:
    assert [type(metric) for metric in retrieval_evaluator().metrics] == [RetrievalMetric]


def test_a_loss_with_proxies_trains_and_evaluates() -> None:
    learner = strategy(loss="proxy-anchor")
    learner.train(BENCHMARK.train_stream)
    learner.eval(BENCHMARK.test_stream)
    assert learner.recall_matrix.average() is not None


def test_a_first_experience_that_cannot_be_learned_is_refused() -> None:
    lonely = as_avalanche_benchmark([Experience("x", *[drawn(np.zeros(3, dtype=int), 18, 0)] * 2)], 16)
    learner = strategy()
    with pytest.raises(EmptyTask, match="experience 0: the first experience needs at least two categories"):
        learner.train(lonely.train_stream)
    assert learner.state is None


@pytest.fixture(scope="module")
def naive_benchmark() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "avalanche_naive.py"
    spec = importlib.util.spec_from_file_location("avalanche_naive_under_test", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_avalanches_naive_with_our_loss_gives_the_recall_matrix_of_finetune(
    naive_benchmark: ModuleType,
) -> None:
    parts = stream(tasks=3, classes=5, side=36, train=8, query=6, noise=200.0)
    model = replace(SETTINGS.model, image_side_pixels=32)
    ours, same, own = [], [], []
    for seed in range(3):
        training = replace(SETTINGS.training, steps=8, batch_categories=5, images_per_category=3, seed=seed)
        found = naive_benchmark.compare(parts, replace(SETTINGS, model=model, training=training), None, CPU)
        assert found.weights_apart < 1e-5, "same batches: rounding alone"
        ours.append(found.finetune)
        same.append(found.naive_same_batches)
        own.append(found.naive_own_batches)
    one_query = 1 / 30
    assert np.nanmax(np.abs(np.array(same) - ours)) <= one_query + 1e-9, "rounding may turn one query"
    # With batches of its own: the means over three seeds differ by less than four standard errors.
    spread = np.nanmax(np.std([ours, own], axis=1, ddof=1))
    error = max(float(spread), one_query) * np.sqrt(2 / 3)
    assert np.nanmax(np.abs(np.mean(own, axis=0) - np.mean(ours, axis=0))) < 4 * error
    final = np.mean(ours, axis=0)[2]
    assert 0.2 < final.mean() < 0.95, (
        "far from chance (1 in 15) and from perfect, so agreement says something"
    )


def test_a_training_that_fails_leaves_the_strategy_as_it_was() -> None:
    class Breaking(SupervisedPlugin):
        armed = True

        def before_backward(self, strategy: EmbeddingStrategy, **_: object) -> None:
            if self.armed and strategy.clock.train_iterations == 6:  # the third of the second experience
                self.armed = False
                strategy.loss *= float("nan")

    learner = strategy(plugins=[Breaking()])
    learner.train(BENCHMARK.train_stream[0])
    before = learner.state
    with pytest.raises(NotFiniteLoss, match="experience 1"):
        learner.train(BENCHMARK.train_stream[1])
    assert learner.state is before
    weights = learner.model.embedder.state_dict()
    assert all(np.array_equal(value, weights[name].numpy()) for name, value in before.weights.items())
    learner.train(BENCHMARK.train_stream[1])
    assert learner.state.tasks_learned == 2
