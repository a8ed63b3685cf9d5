"""Virtual features: taking back the drift of the classes that a new image resembles."""

import numpy as np

from continual_dml.memory.class_statistics import ClassStatistics
from continual_dml.memory.virtual_features import virtual_embeddings


def statistics(now: list[list[float]], birth: list[list[float]], tasks: list[int]) -> ClassStatistics:
    count = len(now)
    return ClassStatistics(
        class_ids=np.arange(count),
        counts=np.ones(count, dtype=np.int64),
        tasks=np.array(tasks),
        means=np.zeros((count, 2)),
        scatter=np.eye(2),
        output_means=np.array(now),
        birth_outputs=np.array(birth),
    )


def test_without_drift_the_old_model_says_what_the_new_one_says() -> None:
    known = statistics([[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]], [0, 0])
    virtual = virtual_embeddings(np.array([[3.0, 4.0]]), known, task=0)
    assert np.allclose(virtual, [[0.6, 0.8]])


def test_a_common_shift_of_all_classes_is_taken_back_exactly() -> None:
    known = statistics([[2.0, 1.0], [1.0, 2.0]], [[1.0, 1.0], [0.0, 2.0]], [0, 0])  # both moved by (1, 0)
    virtual = virtual_embeddings(np.array([[4.0, 4.0]]), known, task=0)
    assert np.allclose(virtual, [[0.6, 0.8]])


def test_the_published_formula_agrees_with_a_loop_over_classes() -> None:
    random = np.random.default_rng(0)
    now, birth, outputs = (
        random.uniform(0.1, 1, (3, 2)),
        random.uniform(0.1, 1, (3, 2)),
        random.uniform(0.1, 1, (5, 2)),
    )
    known = statistics(now.tolist(), birth.tolist(), [0, 0, 0])
    for guarded in (True, False):  # all weights are positive here, so that the guard changes nothing
        fast = virtual_embeddings(outputs, known, task=0, guarded=guarded)
        for row, output in enumerate(outputs):
            unit = output / np.linalg.norm(output)
            weights = [unit @ (mean / np.linalg.norm(mean)) for mean in now]
            drift = sum(w * (a - b) for w, a, b in zip(weights, now, birth, strict=True)) / sum(weights)
            slow = (output - drift) / np.linalg.norm(output - drift)
            assert np.allclose(fast[row], slow, atol=1e-6)


def test_the_guard_keeps_cancelling_weights_from_exploding() -> None:
    known = statistics([[1.0, 0.0], [-0.999, 0.02]], [[0.9, 0.0], [-0.9, 0.0]], [0, 0])
    output = np.array([[0.02, 1.0]])  # nearly orthogonal to both: signed weights almost cancel
    guarded = virtual_embeddings(output, known, task=0)
    assert guarded[0] @ np.array([0.0, 1.0]) > 0.95
    published = virtual_embeddings(output, known, task=0, guarded=False)
    assert np.isfinite(published).all()


def test_an_image_unlike_every_class_takes_the_mean_drift() -> None:
    known = statistics([[1.0, 0.0], [1.0, 0.0]], [[0.5, 0.0], [0.7, 0.0]], [0, 0])
    virtual = virtual_embeddings(np.array([[-1.0, 0.0]]), known, task=0)
    assert np.allclose(virtual, [[-1.0, 0.0]])


def test_only_the_classes_of_the_asked_task_count() -> None:
    known = statistics([[2.0, 0.0], [0.0, 9.0]], [[1.0, 0.0], [0.0, 1.0]], [0, 1])
    virtual = virtual_embeddings(np.array([[4.0, 4.0]]), known, task=0)
    assert np.allclose(virtual, [[0.6, 0.8]])
