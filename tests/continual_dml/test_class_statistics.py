"""Class statistics: measured, merged and moved, against slow references."""

import numpy as np

from continual_dml.memory.class_statistics import ClassStatistics, measure_classes
from continual_dml.memory.drift import AffineMap, DriftFit, fit_drift
from continual_dml.memory.statistics_layout import PER_CLASS, PER_DIRECTION


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


def test_the_bytes_kept_grow_with_classes_and_not_with_images_beyond_the_rank() -> None:
    few, *_ = measured(7, [0, 1] * 4, task=0)
    many, *_ = measured(8, [0, 1] * 300, task=0)
    size = lambda s: sum(a.nbytes for a in s.to_arrays().values())  # noqa: E731
    assert size(few) == size(many), "three directions are all that three dimensions have"


def test_the_age_of_a_class_counts_the_maps_that_have_moved_it_since_it_was_measured() -> None:
    shift = AffineMap(np.eye(3), np.ones(3))
    outputs = AffineMap.identity(2)
    statistics, *_ = measured(9, [0, 0, 1, 1], task=0)
    for number in (1, 2, 3):
        new, *_ = measured(9 + number, [number + 1, number + 1, *([1] if number == 3 else [])], task=number)
        moved = (
            statistics.moved(shift, DriftFit(shift, np.zeros((3, 3))), outputs) if number != 2 else statistics
        )
        statistics = moved.merged(new)  # task 2 left the network as it was
    assert statistics.class_ids.tolist() == [0, 1, 2, 3, 4]
    assert statistics.tasks.tolist() == [0, 0, 1, 2, 3]
    assert statistics.measured.tolist() == [0, 3, 1, 2, 3], "the second class had an image in the last task"
    assert statistics.moves.tolist() == [2, 0, 1, 1, 0]


def test_every_stored_array_is_said_to_be_of_a_class_of_a_direction_or_of_all() -> None:
    arrays = measured(19, [0, 0, 0, 1], task=0)[0].to_arrays()
    assert arrays.keys() == {*PER_CLASS, *PER_DIRECTION, "scatter"}
    assert {len(arrays[name]) for name in PER_CLASS} == {2}
    assert {len(arrays[name]) for name in PER_DIRECTION} == {2}, "three images differ in two directions"


def test_what_is_stored_comes_back() -> None:
    statistics, *_ = measured(20, [0, 0, 0, 1, 2, 2], task=3)
    again = ClassStatistics.from_arrays(statistics.to_arrays(), tasks_learned=4)
    arrays = again.to_arrays()
    for name, array in statistics.to_arrays().items():
        assert np.array_equal(arrays[name], array), name


def test_a_file_of_an_earlier_version_gives_classes_the_shared_covariance_and_their_birth_as_age() -> None:
    statistics, *_ = measured(21, [0, 0, 0, 1, 2, 2], task=0)
    stored = statistics.merged(measured(22, [5, 5], task=2)[0]).to_arrays()
    new = ("measured", "moves", "factor_directions", "factor_lengths", "factor_ranks", "factor_rests")
    old = ClassStatistics.from_arrays({k: v for k, v in stored.items() if k not in new}, tasks_learned=4)
    assert old.factors.ranks.tolist() == [0, 0, 0, 0]
    assert np.allclose(old.factors.totals.sum(), np.trace(old.scatter)), "each image weighs the same"
    assert old.factors.totals[1] == 0, "one image says nothing of a spread"
    assert (old.measured.tolist(), old.moves.tolist()) == ([0, 0, 0, 2], [3, 3, 3, 1])
    later = old.merged(measured(23, [1, 1, 1], task=4)[0])
    assert later.factors.ranks.tolist() == [0, 3, 0, 0], "its own directions, and the gap between its means"
