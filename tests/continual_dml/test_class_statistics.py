"""Class statistics: measured, merged and moved, against slow references."""

import numpy as np

from continual_dml.memory.class_statistics import ClassStatistics, measure_classes
from continual_dml.memory.drift import AffineMap, DriftFit, fit_drift


def measured(
    seed: int, labels: list[int], task: int
) -> tuple[ClassStatistics, np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    features = random.normal(size=(len(labels), 3)).astype(np.float32)
    outputs = random.normal(size=(len(labels), 2)).astype(np.float32)
    known = np.array(labels, dtype=np.int64)
    return measure_classes(features, outputs, known, task), features, outputs, known


def within_scatter(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    scatter = np.zeros((features.shape[1], features.shape[1]))
    for label in set(labels.tolist()):
        rows = features[labels == label].astype(np.float64)
        for row in rows:
            scatter += np.outer(row - rows.mean(0), row - rows.mean(0))
    return scatter


def test_measuring_agrees_with_a_loop_over_images() -> None:
    statistics, features, outputs, labels = measured(0, [4, 9, 4, 4, 9], task=2)
    assert statistics.class_ids.tolist() == [4, 9]
    assert statistics.counts.tolist() == [3, 2]
    assert statistics.tasks.tolist() == [2, 2]
    assert np.allclose(statistics.means[0], features[labels == 4].mean(0), atol=1e-6)
    assert np.allclose(statistics.output_means[1], outputs[labels == 9].mean(0), atol=1e-6)
    assert np.allclose(statistics.scatter, within_scatter(features, labels), atol=1e-5)


def test_merging_equals_measuring_both_tasks_at_once_also_where_a_class_came_twice() -> None:
    first, features_a, outputs_a, labels_a = measured(1, [1, 1, 2, 2, 2], task=0)
    second, features_b, outputs_b, labels_b = measured(2, [2, 3, 3, 2], task=1)
    merged = first.merged(second)
    together = measure_classes(
        np.concatenate([features_a, features_b]),
        np.concatenate([outputs_a, outputs_b]),
        np.concatenate([labels_a, labels_b]),
        task=0,
    )
    assert merged.class_ids.tolist() == together.class_ids.tolist() == [1, 2, 3]
    assert merged.counts.tolist() == together.counts.tolist()
    assert np.allclose(merged.means, together.means)
    assert np.allclose(merged.output_means, together.output_means)
    assert np.allclose(merged.scatter, together.scatter)
    assert merged.tasks.tolist() == [0, 0, 1], "a class keeps the task that it first came with"


def test_moving_by_the_exact_drift_equals_measuring_in_the_new_space() -> None:
    statistics, features, outputs, labels = measured(3, [0, 0, 0, 1, 1, 1, 2, 2], task=0)
    random = np.random.default_rng(4)
    shift = AffineMap(random.normal(size=(3, 3)), random.normal(size=3))
    turn = AffineMap(random.normal(size=(2, 2)), random.normal(size=2))
    moved = statistics.moved(shift, DriftFit(shift, np.zeros((3, 3))), turn)
    again = measure_classes(
        shift(features).astype(np.float32), turn(outputs).astype(np.float32), labels, task=0
    )
    assert np.allclose(moved.means, again.means, atol=1e-5)
    assert np.allclose(moved.scatter, again.scatter, atol=1e-4)
    assert np.allclose(moved.output_means, again.output_means, atol=1e-5)
    assert np.allclose(moved.birth_outputs, statistics.birth_outputs), "birth outputs never move"


def test_what_the_map_leaves_unexplained_widens_the_classes() -> None:
    statistics, features, _, _ = measured(5, [0, 0, 0, 0, 1, 1, 1, 1], task=0)
    noise = np.random.default_rng(6).normal(size=features.shape)
    fit = fit_drift(features, features + noise, strength=1e6)
    moved = statistics.moved(fit.map, fit, AffineMap.identity(2))
    assert np.trace(moved.scatter) > np.trace(statistics.scatter) + 0.5 * np.square(noise).sum()


def test_means_and_the_spread_within_classes_are_carried_by_maps_of_their_own() -> None:
    features = np.array([[-3.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [3.0, 0.0]], dtype=np.float32)
    statistics = measure_classes(features, features, np.array([0, 0, 1, 1]), task=0)
    swapped = AffineMap(np.array([[0.0, 1.0], [1.0, 0.0]]), np.zeros(2))
    stretched = DriftFit(AffineMap(3 * np.eye(2), np.zeros(2)), np.zeros((2, 2)))
    moved = statistics.moved(swapped, stretched, AffineMap.identity(2))
    assert moved.means.tolist() == [[0.0, -2.0], [0.0, 2.0]]
    assert moved.scatter.tolist() == [[36.0, 0.0], [0.0, 0.0]], "9 times the 4 that it was"


def test_the_bytes_kept_grow_with_classes_and_never_with_images() -> None:
    few, *_ = measured(7, [0, 1] * 3, task=0)
    many, *_ = measured(8, [0, 1] * 300, task=0)
    size = lambda s: sum(a.nbytes for a in s.to_arrays().values())  # noqa: E731
    assert size(few) == size(many)
