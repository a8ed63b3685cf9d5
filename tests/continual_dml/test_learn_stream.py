"""Whole streams measured by hand: what every readout says of them, and that measuring changes nothing."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from continual_dml.embedding.embedder import Embedder
from continual_dml.embedding.extract import extract
from continual_dml.embedding.precision import Compute
from continual_dml.metrics.clustering import normalised_mutual_information
from continual_dml.ports import SilentListener
from continual_dml.records import Experience, LabelledImages, LearningStream
from continual_dml.settings import EvaluationSettings, ModelSettings, Settings, TrainingSettings
from continual_dml.strategies.learner import LearnedTask
from continual_dml.strategies.stream_learners import JointLearner, SequentialLearner
from continual_dml.workflows.learn_stream import READOUTS, StreamResult, learn_stream
from continual_dml.workflows.readouts import Readout

CPU = Compute(torch.device("cpu"), bf16=False)
SETTINGS = Settings(
    model=ModelSettings(backbone="conv4", pretrained=False, embedding_dim=4, image_side_pixels=16),
    training=TrainingSettings(
        method="finetune", steps=4, batch_categories=3, images_per_category=3, drift_strength=1.0, flip=False
    ),
    evaluation=EvaluationSettings(recall_at=(1, 2)),
)
Vectors = np.ndarray


def images(first_label: int, per_class: int, seed: int) -> LabelledImages:
    """Each of three classes is a faint bar of its own colour and place in a lot of noise."""
    random = np.random.default_rng([first_label, seed])
    labels = np.repeat(np.arange(first_label, first_label + 3), per_class)
    pixels = random.integers(0, 200, size=(len(labels), 18, 18, 3)).astype(np.uint8)
    for row, label in enumerate(labels):
        pixels[row, 1 + 2 * (label % 8) : 3 + 2 * (label % 8), :, label % 3] //= 2
    return LabelledImages(pixels, labels.astype(np.int64))


TASKS = tuple(Experience(f"task {i}", images(3 * i, 5, 0), images(3 * i, 3, 1)) for i in range(2))
TOY = LearningStream("toy", TASKS)
WITH_UNSEEN = LearningStream("toy", TASKS, images(6, 4, 0))


class Recorder(SequentialLearner):
    """Learns as usual and keeps what came of each task."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, None, None, CPU, SilentListener())
        self.learned: list[LearnedTask] = []

    def learn(self, position: int, experience: Experience) -> LearnedTask:
        self.learned.append(super().learn(position, experience))
        return self.learned[-1]


def run(stream: LearningStream = TOY, **training: Any) -> tuple[StreamResult, list[LearnedTask]]:
    settings = replace(SETTINGS, training=replace(SETTINGS.training, **training))
    recorder = Recorder(settings)
    return learn_stream(stream, recorder, settings, CPU, SilentListener()), recorder.learned


@pytest.fixture(scope="module")
def finetuned() -> tuple[StreamResult, list[LearnedTask]]:
    return run()


def readout(result: StreamResult, head: str, gallery: str) -> Readout:
    return next(r for r in result.readouts if (r.head, r.gallery) == (head, gallery))


def trained_vectors(embedder: Embedder, shown: LabelledImages) -> Vectors:
    return unit(extract(embedder, shown.pixels, CPU).outputs.astype(np.float64))


def statistics_vectors(learned: LearnedTask, shown: LabelledImages, member: int = 0) -> Vectors:
    head = learned.state.members[member].head
    features = extract(learned.embedders[member], shown.pixels, CPU).features
    return unit((features.astype(np.float64) - head.centre) @ head.projection)


def unit(vectors: Vectors) -> Vectors:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def slow_recall(queries: Vectors, asked: Vectors, gallery: Vectors, labels: Vectors, k: int) -> float:
    found = []
    for query, label in zip(queries, asked, strict=True):
        nearest = sorted(range(len(gallery)), key=lambda row: -float(gallery[row] @ query))[:k]
        found.append(any(labels[row] == label for row in nearest))
    return sum(found) / len(found)


LABELS = np.concatenate([task.train.labels for task in TASKS])


def last_row(queries: list[Vectors], gallery: list[Vectors], k: int = 1) -> list[float]:
    """Return merged Recall@k of both tasks' queries after the last task."""
    everything = np.concatenate(gallery)
    return [
        slow_recall(asked, task.query.labels, everything, LABELS, k)
        for asked, task in zip(queries, TASKS, strict=True)
    ]


def test_every_matrix_is_lower_triangular_and_full(finetuned: tuple[StreamResult, list[LearnedTask]]) -> None:
    result, _ = finetuned
    assert [(r.head, r.gallery) for r in result.readouts] == list(READOUTS)
    for one in result.readouts:
        for scope in ("merged", "within", "group"):
            for rows in (*one.recall[scope].values(), one.map_at_r[scope]):
                assert [len(row) for row in rows] == [1, 2]
                assert all(value is not None and 0 <= value <= 1 for row in rows for value in row)


def test_reembedded_recall_is_what_the_last_model_finds(
    finetuned: tuple[StreamResult, list[LearnedTask]],
) -> None:
    result, learned = finetuned
    last = learned[-1]
    for k in (1, 2):
        queries = [statistics_vectors(last, task.query) for task in TASKS]
        gallery = [statistics_vectors(last, task.train) for task in TASKS]
        found = readout(result, "statistics", "reembedded").recall["merged"][str(k)][1]
        assert found == pytest.approx(last_row(queries, gallery, k))
        queries = [trained_vectors(last.embedder, task.query) for task in TASKS]
        gallery = [trained_vectors(last.embedder, task.train) for task in TASKS]
        found = readout(result, "trained", "reembedded").recall["merged"][str(k)][1]
        assert found == pytest.approx(last_row(queries, gallery, k))


def test_projected_recall_is_that_of_features_carried_from_their_birth(
    finetuned: tuple[StreamResult, list[LearnedTask]],
) -> None:
    result, (first, last) = finetuned
    drift, head = last.state.drift.steps[1].map, last.state.head
    carried = first.features.astype(np.float64) @ drift.matrix.T + drift.offset
    gallery = [unit((carried - head.centre) @ head.projection), statistics_vectors(last, TASKS[1].train)]
    queries = [statistics_vectors(last, task.query) for task in TASKS]
    found = readout(result, "statistics", "projected").recall["merged"]["1"][1]
    assert found == pytest.approx(last_row(queries, gallery))


def test_sdc_recall_is_that_of_trained_embeddings_moved_as_the_new_images_near_them(
    finetuned: tuple[StreamResult, list[LearnedTask]],
) -> None:
    result, (first, last) = finetuned
    before = trained_vectors(first.embedder, TASKS[1].train)
    after = trained_vectors(last.embedder, TASKS[1].train)
    moved = []
    for point in trained_vectors(first.embedder, TASKS[0].train):
        weights = [math.exp(-float(((old - point) ** 2).sum()) / (2 * 0.3**2)) for old in before]
        drift = sum(w * (new - old) for w, old, new in zip(weights, before, after, strict=True)) / sum(
            weights
        )
        moved.append(point + drift)
    gallery = [unit(np.array(moved)), after]
    queries = [trained_vectors(last.embedder, task.query) for task in TASKS]
    found = readout(result, "trained", "sdc").recall["merged"]["1"][1]
    assert found == pytest.approx(last_row(queries, gallery))


def test_after_the_first_task_every_gallery_is_the_same(
    finetuned: tuple[StreamResult, list[LearnedTask]],
) -> None:
    result, _ = finetuned
    for head in ("statistics", "trained"):
        first = [r.recall["merged"]["1"][0] for r in result.readouts if r.head == head]
        assert first == [first[0]] * len(first)


def test_a_frozen_network_needs_no_new_look_at_its_images() -> None:
    result, learned = run(method="frozen")
    assert [task.moved for task in learned] == [True, False]
    assert result.loss_terms[1] == {}
    for head in ("statistics", "trained"):
        galleries = [r.document() for r in result.readouts if r.head == head]
        for other in galleries[1:]:
            assert other["recall"] == galleries[0]["recall"]
            assert other["map_at_r"] == galleries[0]["map_at_r"]


def test_later_tasks_stand_for_unseen_categories_where_the_stream_has_none(
    finetuned: tuple[StreamResult, list[LearnedTask]],
) -> None:
    result, (first, _) = finetuned
    later = TASKS[1]
    queries, gallery = statistics_vectors(first, later.query), statistics_vectors(first, later.train)
    expected = slow_recall(queries, later.query.labels, gallery, later.train.labels, 1)
    for one in result.readouts:
        document = one.document()
        assert document["unseen_recall"]["1"][1] is None
        assert document["nmi"] == [None, None]
        if one.head == "statistics":
            assert document["unseen_recall"]["1"][0] == pytest.approx(expected)


def test_unseen_images_of_the_stream_are_searched_among_themselves_and_clustered() -> None:
    result, learned = run(WITH_UNSEEN)
    shown = WITH_UNSEEN.unseen
    assert shown is not None
    for stage, task in enumerate(learned):
        vectors = statistics_vectors(task, shown)
        others = vectors @ vectors.T - 4 * np.eye(len(vectors))
        expected = (shown.labels[others.argmax(axis=1)] == shown.labels).mean()
        nmi = normalised_mutual_information(vectors.astype(np.float32), shown.labels, seed=0)
        for one in result.readouts:
            if one.head == "statistics":
                assert one.document()["unseen_recall"]["1"][stage] == pytest.approx(expected)
                assert one.document()["nmi"][stage] == pytest.approx(nmi)


def test_unseen_images_that_ask_are_searched_in_the_gallery_of_the_others() -> None:
    shown = WITH_UNSEEN.unseen
    assert shown is not None
    asks = np.arange(len(shown)) % 2 == 0
    result, learned = run(replace(WITH_UNSEEN, unseen_asks=asks))
    vectors = statistics_vectors(learned[-1], shown)
    nearest = (vectors[asks] @ vectors[~asks].T).argmax(axis=1)
    expected = (shown.labels[~asks][nearest] == shown.labels[asks]).mean()
    found = readout(result, "statistics", "reembedded").document()["unseen_recall"]["1"][-1]
    assert found == pytest.approx(expected)


def test_measuring_changes_nothing_that_is_learned(
    finetuned: tuple[StreamResult, list[LearnedTask]],
) -> None:
    unmeasured = SequentialLearner(SETTINGS, None, None, CPU, SilentListener())
    for position, (task, measured) in enumerate(zip(TASKS, finetuned[1], strict=True)):
        groups = unmeasured.learn(position, task).state.to_artefacts()
        for name, group in measured.state.to_artefacts().items():
            assert all(np.array_equal(value, groups[name][key]) for key, value in group.items()), name


def test_bytes_kept_are_those_of_the_state(finetuned: tuple[StreamResult, list[LearnedTask]]) -> None:
    result, learned = finetuned
    groups = learned[-1].state.to_artefacts()
    sizes = {name: sum(array.nbytes for array in group.values()) for name, group in groups.items()}
    sizes["drift"] = sizes.pop("drift-00000001")
    assert result.bytes_kept == {**sizes, "extra": 0}
    assert result.members == []
    assert len(result.learn_seconds) == len(result.measure_seconds) == len(result.loss_terms) == 2


def test_joint_training_is_measured_after_the_last_task_only() -> None:
    joint = JointLearner(SETTINGS, 2, None, None, CPU, SilentListener())
    result = learn_stream(WITH_UNSEEN, joint, SETTINGS, CPU, SilentListener())
    for one in result.readouts:
        matrix = one.recall["merged"]["1"]
        assert matrix[0] == [None]
        measured = one.gallery == "reembedded"
        assert [value is not None for value in matrix[1]] == [measured, measured]
        assert [value is not None for value in one.document()["nmi"]] == [False, measured]
    assert result.bytes_kept["extra"] == 30 * 18 * 18 * 3
    assert result.bytes_kept["drift"] == 0
    assert result.loss_terms[0] == {}
    assert "metric" in result.loss_terms[1]


def test_a_joint_learner_of_one_task_has_every_readout() -> None:
    one_task = LearningStream("short", TASKS[:1])
    joint = JointLearner(SETTINGS, 1, None, None, CPU, SilentListener())
    result = learn_stream(one_task, joint, SETTINGS, CPU, SilentListener())
    assert all(one.recall["merged"]["1"][0][0] is not None for one in result.readouts)


@pytest.mark.parametrize("ensemble", ["concatenated", "pca"])
def test_members_of_a_cohort_are_measured_alone_and_together(ensemble: str) -> None:
    settings = replace(SETTINGS, model=replace(SETTINGS.model, cohort=2, ensemble=ensemble))
    recorder = Recorder(settings)
    result = learn_stream(TOY, recorder, settings, CPU, SilentListener())
    last = recorder.learned[-1]
    alone = []
    for member in range(2):
        queries = [statistics_vectors(last, task.query, member) for task in TASKS]
        gallery = [statistics_vectors(last, task.train, member) for task in TASKS]
        alone.append(float(np.mean(last_row(queries, gallery))))
    assert result.members == pytest.approx(alone)
    if ensemble == "concatenated":
        queries, gallery = (
            [np.concatenate([statistics_vectors(last, shown, m) for m in range(2)], axis=1) for shown in part]
            for part in ([task.query for task in TASKS], [task.train for task in TASKS])
        )
        found = readout(result, "statistics", "reembedded").recall["merged"]["1"][1]
        assert found == pytest.approx(last_row(queries, gallery))
    else:
        assert "reduction" in last.state.to_artefacts()["head"]
    assert all(one.recall["merged"]["1"][1][0] is not None for one in result.readouts)
