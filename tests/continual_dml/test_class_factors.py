"""Each class's own covariance: measured, merged, moved and cut, against full matrices."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.memory.class_factors import ClassFactors, compressed
from continual_dml.memory.class_statistics import ClassStatistics, measure_classes
from continual_dml.memory.discriminant_head import fit_discriminant_head
from continual_dml.memory.drift import AffineMap, DriftFit

DIMENSION = 4
FULL = 64
OUTPUTS_STAY = AffineMap.identity(2)
COUNTS = st.dictionaries(st.integers(0, 4), st.integers(1, 6), min_size=1, max_size=4)


def images(counts: dict[int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of ``counts[c]`` images of each class c, away from the origin, in an order of chance."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.repeat(list(counts), list(counts.values()))).astype(np.int64)
    features = random.normal(size=(len(labels), DIMENSION)) * [3, 1, 0.5, 0.2] + 5 * labels[:, None]
    return features.astype(np.float32), labels


def measured(counts: dict[int, int], seed: int, rank: int = FULL, task: int = 0) -> ClassStatistics:
    features, labels = images(counts, seed)
    return measure_classes(features, features[:, :2], labels, task, rank)


def shown(statistics: ClassStatistics) -> dict[int, np.ndarray]:
    """The scatter (F, F) of each class, in full."""
    shape = statistics.scatter / max(np.trace(statistics.scatter), 1e-12)
    found = {}
    for position, class_id in enumerate(statistics.class_ids):
        rows = statistics.factors.of_class(position).astype(np.float64)
        found[int(class_id)] = rows.T @ rows + statistics.factors.rests[position] * shape
    return found


def true_scatters(features: np.ndarray, labels: np.ndarray) -> dict[int, np.ndarray]:
    found = {}
    for label in np.unique(labels):
        rows = features[labels == label].astype(np.float64)
        found[int(label)] = sum(np.outer(row - rows.mean(0), row - rows.mean(0)) for row in rows)
    return found


def assert_same(found: dict[int, np.ndarray], expected: dict[int, np.ndarray]) -> None:
    """Two sets of scatters are alike to the half precision that directions are kept in."""
    assert found.keys() == expected.keys()
    for label, scatter in expected.items():
        assert np.abs(found[label] - scatter).max() <= 2e-3 * np.trace(scatter) + 1e-6, label


@settings(deadline=None)
@given(COUNTS, st.integers(0, 99))
def test_with_enough_directions_the_scatter_of_each_class_is_that_of_a_loop(counts, seed):
    statistics = measured(counts, seed)
    assert_same(shown(statistics), true_scatters(*images(counts, seed)))
    most = np.minimum(statistics.counts - 1, DIMENSION)
    assert (statistics.factors.ranks <= most).all()
    assert np.allclose(statistics.factors.rests, 0, atol=1e-6)


@settings(deadline=None)
@given(st.integers(0, 99), st.integers(0, 4))
def test_the_directions_that_are_kept_are_the_widest_and_the_rest_is_what_they_leave_out(seed, rank):
    statistics = measured({0: 9, 1: 3}, seed, rank)
    truth = true_scatters(*images({0: 9, 1: 3}, seed))
    for position, (rest, scatter) in enumerate(zip(statistics.factors.rests, truth.values(), strict=True)):
        own = statistics.factors.of_class(position)
        values, axes = np.linalg.eigh(scatter)
        values, axes = values[::-1][: len(own)], axes[:, ::-1][:, : len(own)]
        assert np.allclose(own.T @ own, (axes * values) @ axes.T, atol=2e-3 * np.trace(scatter))
        assert np.isclose(rest, np.trace(scatter) - values.sum(), atol=1e-3)


@settings(deadline=None)
@given(COUNTS, COUNTS, st.integers(0, 99))
def test_with_full_rank_merging_equals_measuring_all_images_at_once(first, second, seed):
    merged = measured(first, seed).merged(measured(second, seed + 100, task=1), FULL)
    (features_a, labels_a), (features_b, labels_b) = images(first, seed), images(second, seed + 100)
    features, labels = np.concatenate([features_a, features_b]), np.concatenate([labels_a, labels_b])
    assert_same(shown(merged), true_scatters(features, labels))
    together = measure_classes(features, features[:, :2], labels, 0, FULL)
    order = np.argsort(merged.class_ids)
    assert merged.counts[order].tolist() == together.counts.tolist()
    assert (merged.factors.ranks[order] <= together.counts).all()


@settings(deadline=None)
@given(COUNTS, st.integers(0, 99))
def test_moving_by_an_exact_map_equals_measuring_the_moved_images(counts, seed):
    random = np.random.default_rng(seed + 1000)
    shift = AffineMap(random.normal(size=(DIMENSION, DIMENSION)), random.normal(size=DIMENSION))
    exact = DriftFit(shift, np.zeros((DIMENSION, DIMENSION)))
    moved = measured(counts, seed).moved(shift, exact, OUTPUTS_STAY)
    features, labels = images(counts, seed)
    before = true_scatters(features, labels)
    for label, scatter in true_scatters(shift(features), labels).items():
        most = np.trace(before[label]) * np.linalg.norm(shift.matrix, 2) ** 2  # rounding is carried along
        assert np.abs(shown(moved)[label] - scatter).max() <= 2e-3 * most + 1e-6


STEPS = st.lists(
    st.one_of(st.tuples(st.just("learn"), COUNTS), st.tuples(st.just("move"), st.floats(0, 2))), max_size=5
)


def told(steps: list, seed: int, rank: int) -> ClassStatistics:
    """Statistics after any sequence of tasks and drift maps that leave something unexplained."""
    random = np.random.default_rng(seed)
    statistics = measured({0: 3, 1: 1}, seed, rank)
    for number, (kind, what) in enumerate(steps, 1):
        if kind == "learn":
            statistics = statistics.merged(measured(what, seed + number, rank, task=number), rank)
            continue
        matrix = np.eye(DIMENSION) + random.normal(size=(DIMENSION, DIMENSION)) * what / 4
        noise = random.normal(size=(DIMENSION, DIMENSION)) * what
        fit = DriftFit(AffineMap(matrix, random.normal(size=DIMENSION)), noise @ noise.T)
        statistics = statistics.moved(fit.map, fit, OUTPUTS_STAY)
    return statistics


@settings(deadline=None)
@given(STEPS, st.integers(0, 99), st.integers(0, 5))
def test_after_any_tasks_and_maps_scatters_are_positive_and_add_up_to_the_shared_one(steps, seed, rank):
    statistics = told(steps, seed, rank)
    factors = statistics.factors
    assert (factors.rests >= 0).all()
    assert (factors.ranks <= rank).all()
    assert (factors.ranks < statistics.counts).all()
    assert len(factors.directions) == len(factors.lengths) == factors.ranks.sum()
    for scatter in shown(statistics).values():
        assert np.linalg.eigvalsh(scatter).min() >= -1e-5 * max(np.trace(scatter), 1)
    assert np.isclose(factors.totals.sum(), np.trace(statistics.scatter), rtol=5e-3)


@settings(deadline=None)
@given(COUNTS, COUNTS, COUNTS, st.integers(0, 99))
def test_the_order_of_merging_does_not_matter_and_cut_directions_lose_no_variance(one, two, three, seed):
    tasks = [{9: 2, **counts} for counts in (one, two, three)]
    full, cut = [], []
    for order in permutations(range(3)):
        for rank, found in ((FULL, full), (2, cut)):
            parts = [measured(tasks[task], seed + task, rank) for task in order]
            found.append(parts[0].merged(parts[1], rank).merged(parts[2], rank))
    for other in full[1:]:
        assert_same(shown(other), shown(full[0]))
    for other in [*cut, *full]:
        totals = dict(zip(other.class_ids.tolist(), other.factors.totals.tolist(), strict=True))
        expected = dict(zip(full[0].class_ids.tolist(), full[0].factors.totals.tolist(), strict=True))
        assert totals == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_a_smaller_rank_cuts_what_is_kept_of_earlier_classes_too():
    before = measured({0: 9, 1: 9}, seed=1, rank=3)
    new = measured({5: 4}, seed=2, rank=0, task=1)
    cut = before.merged(new, rank=1)
    assert cut.factors.ranks.tolist() == [1, 1, 0]
    gone = before.merged(new, rank=0)
    assert gone.factors.ranks.tolist() == [0, 0, 0]
    for factors in (cut.factors, gone.factors):
        assert np.allclose(factors.totals[:2], before.factors.totals)


def test_the_head_is_the_same_to_the_bit_whatever_rank_is_kept():
    statistics = [measured({c: 3 + c for c in range(12)}, seed=3, rank=rank) for rank in (0, 8)]
    again = [
        one.merged(measured({0: 2, 20: 3}, 4, rank, 1), rank)
        for one, rank in zip(statistics, (0, 8), strict=True)
    ]
    heads = [fit_discriminant_head(one, 0.5, 3) for one in again]
    assert np.array_equal(heads[0].projection, heads[1].projection)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e7])
def test_directions_are_kept_in_half_precision_at_any_scale_and_no_variance_is_lost(scale):
    rows = np.random.default_rng(5).normal(size=(6, 50)).astype(np.float32) * np.float32(scale)
    factors = ClassFactors.of(rows, np.array([4, 0, 2]), np.zeros(3))
    lengths = np.linalg.norm(rows, axis=1)
    assert factors.directions.dtype == np.float16
    assert (np.abs(factors.rows(slice(None)) - rows) <= 5e-4 * lengths[:, None]).all()
    assert np.allclose(factors.totals, [np.square(rows[:4]).sum(), 0, np.square(rows[4:]).sum()], rtol=1e-5)
    again = ClassFactors.of(factors.rows(slice(None)), factors.ranks, factors.rests)
    assert np.array_equal(again.directions, factors.directions), "rounded once, it stays"


def test_a_direction_that_a_map_has_collapsed_is_stored_as_nothing():
    statistics = measured({0: 3}, seed=6)
    nothing = AffineMap(np.zeros((DIMENSION, DIMENSION)), np.zeros(DIMENSION))
    moved = statistics.moved(nothing, DriftFit(nothing, np.eye(DIMENSION)), OUTPUTS_STAY)
    assert not moved.factors.lengths.any()
    assert moved.factors.rests.tolist() == [3 * DIMENSION], (
        "three images, each of which the map leaves unexplained"
    )


@pytest.mark.parametrize("shape", [(5, 80), (80, 5), (70, 90), (90, 70)])
def test_rows_are_cut_alike_whichever_way_they_are_decomposed(shape):
    rows = np.random.default_rng(7).normal(size=shape) * np.linspace(1, 3, shape[1])
    kept, left_out = compressed(rows, rank=3)
    _, lengths, right = np.linalg.svd(rows, full_matrices=False)
    assert np.allclose(kept.T @ kept, (right[:3].T * lengths[:3] ** 2) @ right[:3])
    assert np.isclose(left_out, (lengths[3:] ** 2).sum())
    whole, nothing = compressed(rows, rank=1000)
    assert np.allclose(whole.T @ whole, rows.T @ rows)
    assert np.isclose(nothing, 0, atol=1e-6)


def test_twins_and_single_images_have_no_direction():
    features = np.array([[1, 2, 3, 4]] * 3 + [[5, 6, 7, 8]], dtype=np.float32)
    statistics = measure_classes(features, features, np.array([0, 0, 0, 1]), task=0)
    assert statistics.factors.ranks.tolist() == [0, 0]
    assert statistics.factors.totals.tolist() == [0, 0]
