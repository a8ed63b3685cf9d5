"""Evaluation inside Avalanche's loop: retrieval metrics by name, as a slow search finds them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from continual_dml.embedding.precision import Compute
from continual_dml.errors import SettingsError
from continual_dml.records import Experience, LabelledImages
from continual_dml.settings import Settings
from continual_dml.strategies.avalanche_metrics import RetrievalMetric, retrieval_evaluator
from continual_dml.strategies.avalanche_strategy import EmbeddingStrategy
from streams.avalanche_bridge import labelled_images

from avalanche.benchmarks import CLScenario  # isort: skip - after ours, which guard the import
from avalanche.core import SupervisedPlugin  # isort: skip
from avalanche.evaluation.metrics import loss_metrics  # isort: skip
from avalanche.logging import TextLogger  # isort: skip
from avalanche.training.plugins import EvaluationPlugin  # isort: skip


def test_plugins_get_every_evaluation_callback_in_avalanches_order(
    strategy: Callable[..., EmbeddingStrategy], benchmark: CLScenario, recorder: SupervisedPlugin
) -> None:
    learner = strategy(plugins=[recorder])
    learner.train(benchmark.train_stream[0])
    recorder.calls.clear()
    learner.eval(benchmark.test_stream)
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


def test_evaluation_gives_recalls_by_name_and_fills_the_recall_matrix(
    strategy: Callable[..., EmbeddingStrategy], benchmark: CLScenario
) -> None:
    learner = strategy()
    for experience in benchmark.train_stream:
        learner.train(experience)
        metrics = learner.eval(benchmark.test_stream)
    matrix = learner.recall_matrix
    assert [len(row) for row in matrix.rows] == [1, 2]
    assert metrics["Recall@1/eval_phase/test_stream/Task000/Exp000"] == matrix.rows[1][0]
    assert metrics["Recall@1/eval_phase/test_stream/Task000/Exp001"] == matrix.rows[1][1]
    assert metrics["StreamRecall@1/eval_phase/test_stream"] == pytest.approx(matrix.average())
    assert metrics["StreamForgetting/eval_phase/test_stream"] == matrix.forgetting()
    assert learner.recall_matrix_at(8).rows[1][1] >= matrix.rows[1][1]


@pytest.mark.parametrize("head", ["trained", "statistics"])
def test_evaluation_agrees_with_a_slow_search_by_hand(
    head: str,
    strategy: Callable[..., EmbeddingStrategy],
    stream: Callable[..., list[Experience]],
    benchmark: CLScenario,
    compute: Compute,
) -> None:
    learner = strategy(head=head)
    learner.train(benchmark.train_stream)
    learner.eval(benchmark.test_stream[1])
    parts = stream()

    def vectors(images: LabelledImages) -> np.ndarray:
        from continual_dml.embedding.extract import extract

        seen = extract(learner.model.embedder, images.pixels, compute)
        if head == "statistics":
            return learner.state.head(seen.features)
        return seen.outputs / np.linalg.norm(seen.outputs, axis=1, keepdims=True)

    gallery = [(v, y) for part in parts for v, y in zip(vectors(part.train), part.train.labels, strict=True)]
    found = [
        max(gallery, key=lambda item: float(item[0] @ asked))[1] == label
        for asked, label in zip(vectors(parts[1].query), parts[1].query.labels, strict=True)
    ]
    assert learner.recall_matrix.rows[1][1] == pytest.approx(np.mean(found))


def test_queries_of_experiences_not_learned_yet_are_left_out(
    strategy: Callable[..., EmbeddingStrategy], benchmark: CLScenario
) -> None:
    learner = strategy()
    learner.train(benchmark.train_stream[0])
    metrics = learner.eval(benchmark.test_stream)
    assert "Recall@1/eval_phase/test_stream/Task000/Exp000" in metrics
    assert "Recall@1/eval_phase/test_stream/Task000/Exp001" not in metrics
    assert len(learner.recall_matrix.rows) == 1


def test_a_gallery_given_to_eval_is_searched_as_a_whole(
    strategy: Callable[..., EmbeddingStrategy], benchmark: CLScenario
) -> None:
    learner = strategy()
    learner.train(benchmark.train_stream[0])
    learner.eval(benchmark.test_stream[1], gallery=benchmark.train_stream)
    assert learner.retrieval.queries == 8
    learner.eval(benchmark.test_stream[1])
    assert (learner.retrieval.queries, learner.retrieval.without_positive) == (0, 8)


def test_evaluation_needs_a_gallery(benchmark: CLScenario, settings: Settings, compute: Compute) -> None:
    learner = EmbeddingStrategy(
        settings=settings, images_of=partial(labelled_images, stored_side_pixels=18), compute=compute
    )
    with pytest.raises(SettingsError, match="no gallery to search"):
        learner.eval(benchmark.test_stream)


def test_evaluating_amid_training_changes_nothing_but_the_metrics(
    strategy: Callable[..., EmbeddingStrategy], benchmark: CLScenario
) -> None:
    watched, plain = strategy(eval_every=1), strategy()
    metrics = watched.train(benchmark.train_stream[0], eval_streams=[benchmark.test_stream])
    plain.train(benchmark.train_stream[0])
    assert "Recall@1/eval_phase/test_stream/Task000/Exp000" in metrics
    assert all(np.array_equal(v, watched.state.weights[n]) for n, v in plain.state.weights.items())
    assert watched.model.training == plain.model.training


def test_loggers_and_other_metrics_of_avalanche_work(
    tmp_path: Path, strategy: Callable[..., EmbeddingStrategy], benchmark: CLScenario
) -> None:
    with (tmp_path / "log.txt").open("w") as file:
        evaluator = EvaluationPlugin(
            RetrievalMetric(), loss_metrics(epoch=True, experience=True), loggers=[TextLogger(file)]
        )
        learner = strategy(evaluator=evaluator)
        trained = learner.train(benchmark.train_stream[0])
        learner.eval(benchmark.test_stream)
    text = (tmp_path / "log.txt").read_text()
    assert trained["Loss_Epoch/train_phase/train_stream/Task000"] > 0
    assert "Recall@1/eval_phase/test_stream/Task000/Exp000" in text


def test_the_default_evaluator_never_measures_classification() -> None:
    assert [type(metric) for metric in retrieval_evaluator().metrics] == [RetrievalMetric]
