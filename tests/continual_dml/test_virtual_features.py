"""Virtual features: taking back the drift of the classes that a new image resembles."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.memory.class_statistics import ClassStatistics, measure_classes
from continual_dml.memory.drift import AffineMap, DriftFit
from continual_dml.memory.virtual_features import virtual_embeddings


def statistics(now: list[list[float]], birth: list[list[float]], tasks: list[int]) -> ClassStatistics:
    outputs = np.array(now, dtype=np.float32)
    measured = measure_classes(np.zeros_like(outputs), outputs, np.arange(len(now)), task=0)
    return replace(measured, tasks=np.array(tasks), output_means=np.array(now), birth_outputs=np.array(birth))


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


def test_a_worked_example_in_numbers() -> None:
    # Two classes stand along the axes now. The first came from (8, 0), so D = (-7, 0); the second from
    # (0, 0.75), so D = (0, 5.25). The image z = (9, 12) has f = (0.6, 0.8), which are also its weights v.
    # sum v D / sum v = (0.6 (-7, 0) + 0.8 (0, 5.25)) / 1.4 = (-3, 3); z - (-3, 3) = (12, 9); unit (0.8, 0.6).
    known = statistics([[1.0, 0.0], [0.0, 6.0]], [[8.0, 0.0], [0.0, 0.75]], [0, 0])
    for guarded in (True, False):
        virtual = virtual_embeddings(np.array([[9.0, 12.0]]), known, task=0, guarded=guarded)
        assert np.allclose(virtual, [[0.8, 0.6]], atol=1e-6)


def test_the_published_form_explodes_where_weights_cancel_and_the_guarded_does_not() -> None:
    # v = (3, -0.99) . (1, 0) and . (-0.8, 0.6), over |z|: 0.9496 and -0.9477, which sum to 0.0019. Drifts of
    # length 0.1 become a correction of (50, -50): the image lands on the other side of the origin.
    known = statistics([[1.0, 0.0], [-0.8, 0.6]], [[0.9, 0.0], [-0.8, 0.5]], [0, 0])
    output = np.array([[3.0, -0.99]])
    published = virtual_embeddings(output, known, task=0, guarded=False)
    assert published[0] @ output[0] / np.linalg.norm(output) < -0.8
    guarded = virtual_embeddings(output, known, task=0)  # the second class has no say: z - (0.1, 0)
    assert np.allclose(guarded, [[2.9, -0.99]] / np.hypot(2.9, 0.99), atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_guarded_an_image_never_moves_further_than_the_class_that_moved_most(seed: int) -> None:
    random = np.random.default_rng(seed)
    now, drift = random.normal(size=(4, 2)), 0.2 * random.normal(size=(4, 2))
    known = statistics(now.tolist(), (now - drift).tolist(), [0] * 4)
    outputs = random.normal(size=(6, 2))
    outputs *= 3 / np.linalg.norm(outputs, axis=1, keepdims=True)
    virtual = virtual_embeddings(outputs, known, task=0)
    # A step of length r from a point at distance 3 turns it by at most asin(r / 3).
    furthest = np.linalg.norm(drift, axis=1).max()
    cosines = (virtual * outputs / 3).sum(axis=1)
    assert (cosines >= np.sqrt(1 - (furthest / 3) ** 2) - 1e-6).all()


def test_drift_chained_over_tasks_equals_direct_drift_from_birth() -> None:
    random = np.random.default_rng(1)
    born = random.uniform(0.2, 1, (3, 2))
    steps = [AffineMap(np.eye(2) + 0.1 * random.normal(size=(2, 2)), random.normal(size=2)) for _ in range(3)]
    features = DriftFit(AffineMap.identity(2), np.zeros((2, 2)))
    chained = statistics(born.tolist(), born.tolist(), [0, 0, 0])
    added_up, direct = np.zeros((3, 2)), AffineMap.identity(2)
    for step in steps:
        moved = chained.moved(features.map, features, step)
        added_up += moved.output_means - chained.output_means
        chained, direct = moved, step.after(direct)
    at_once = statistics(direct(born).tolist(), born.tolist(), [0, 0, 0])
    assert np.allclose(chained.output_means - chained.birth_outputs, added_up)
    outputs = random.uniform(0.5, 2, (5, 2))
    for guarded in (True, False):
        assert np.allclose(
            virtual_embeddings(outputs, chained, task=0, guarded=guarded),
            virtual_embeddings(outputs, at_once, task=0, guarded=guarded),
            atol=1e-6,
        )


def test_an_image_unlike_every_class_takes_the_mean_drift() -> None:
    known = statistics([[1.0, 0.0], [1.0, 0.0]], [[0.5, 0.0], [0.7, 0.0]], [0, 0])
    virtual = virtual_embeddings(np.array([[-1.0, 0.0]]), known, task=0)
    assert np.allclose(virtual, [[-1.0, 0.0]])


def test_only_the_classes_of_the_asked_task_count() -> None:
    known = statistics([[2.0, 0.0], [0.0, 9.0]], [[1.0, 0.0], [0.0, 1.0]], [0, 1])
    virtual = virtual_embeddings(np.array([[4.0, 4.0]]), known, task=0)
    assert np.allclose(virtual, [[0.6, 0.8]])
