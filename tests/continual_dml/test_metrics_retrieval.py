"""Recall@K, R-precision and MAP@R against rankings by hand, an explicit loop and pytorch-metric-learning."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.errors import DimensionMismatch, GalleryError, SettingsError
from continual_dml.metrics import ranking
from continual_dml.metrics.precision import map_at_r, r_precision
from continual_dml.metrics.recall import retrieval_metrics

# Importing the oracle raises deprecation warnings of its own dependencies.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def circle(*degrees):
    angles = np.radians(np.array(degrees, dtype=np.float32))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def random_set(seed, size, classes, dimension=6, spread=1.0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, size)
    centres = np.random.default_rng(0).normal(size=(classes, dimension))
    points = centres[labels] + spread * random.normal(size=(size, dimension))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), labels


def slow_metrics(queries, query_labels, gallery, gallery_labels, ks, exclude_self=False):
    similarities = (queries @ gallery.T).tolist()
    recall, r_precisions, averages, lonely = {k: [] for k in ks}, [], [], 0
    for q, row in enumerate(similarities):
        items = [g for g in range(len(gallery)) if not (exclude_self and g == q)]
        items.sort(key=lambda g: (-row[g], g))
        hits = [gallery_labels[g] == query_labels[q] for g in items]
        r = sum(hits)
        if r == 0:
            lonely += 1
            continue
        for k in ks:
            recall[k].append(any(hits[:k]))
        r_precisions.append(sum(hits[:r]) / r)
        averages.append(sum(sum(hits[: i + 1]) / (i + 1) for i in range(r) if hits[i]) / r)
    return {k: np.mean(v) for k, v in recall.items()}, np.mean(r_precisions), np.mean(averages), lonely


def test_one_query_on_the_unit_circle_by_hand():
    # Around 0 degrees the gallery lies as hit, miss, hit, miss, hit: R = 3.
    gallery, labels = circle(50, 10, 30, 20, 40), np.array([1, 1, 1, 2, 2])
    result = retrieval_metrics(circle(0), np.array([1]), gallery, labels, ks=(1, 2))
    assert result.recall == {1: 1.0, 2: 1.0}
    assert result.r_precision == pytest.approx(2 / 3)
    assert result.map_at_r == pytest.approx((1 + 2 / 3) / 3)


def test_a_match_at_the_second_place_counts_from_k_two_on():
    result = retrieval_metrics(circle(0), np.array([1]), circle(10, 20), np.array([2, 1]), ks=(1, 2, 4, 8))
    assert result.recall == {1: 0.0, 2: 1.0, 4: 1.0, 8: 1.0}
    assert (result.r_precision, result.map_at_r) == (0.0, 0.0)


def test_the_example_of_musgrave_where_r_precision_is_the_same_and_map_at_r_is_not():
    hits = np.zeros((2, 10), dtype=bool)
    hits[0, 0] = hits[1, 9] = True  # one of ten found: at the first place, or at the last
    relevant = np.array([10, 10])
    assert r_precision(hits, relevant).tolist() == [0.1, 0.1]
    assert map_at_r(hits, relevant).tolist() == pytest.approx([0.1, 0.01])


def test_places_beyond_r_do_not_count():
    hits = np.array([[False, False, True, True]])
    assert r_precision(hits, np.array([2])).tolist() == [0.0]
    assert map_at_r(hits, np.array([2])).tolist() == [0.0]


@pytest.mark.parametrize("budget", [1, 200, 10**7])
@pytest.mark.parametrize("seed", range(4))
def test_the_metrics_are_those_of_the_slow_loop(seed, budget, monkeypatch):
    monkeypatch.setattr(ranking, "SIMILARITIES_PER_CHUNK", budget)
    monkeypatch.setattr(ranking, "FEWEST_QUERIES", 1)
    queries, query_labels = random_set(seed, 23, 6)
    gallery, gallery_labels = random_set(seed + 50, 61, 4)  # classes 4 and 5 have no positive
    result = retrieval_metrics(queries, query_labels, gallery, gallery_labels, ks=(1, 3, 100))
    recall, expected_r, expected_map, lonely = slow_metrics(
        queries, query_labels, gallery, gallery_labels, (1, 3, 100)
    )
    assert dict(result.recall) == pytest.approx(recall)
    assert result.r_precision == pytest.approx(expected_r)
    assert result.map_at_r == pytest.approx(expected_map)
    assert (result.queries, result.without_positive) == (23 - lonely, lonely)
    assert lonely > 0


@pytest.mark.parametrize("seed", range(4))
def test_the_metrics_of_a_set_against_itself_are_those_of_the_slow_loop(seed):
    points, labels = random_set(seed, 40, 9, spread=2.0)
    labels[0] = 99  # alone in its class
    result = retrieval_metrics(points, labels, points, labels, ks=(1, 2), exclude_self=True)
    recall, expected_r, expected_map, lonely = slow_metrics(points, labels, points, labels, (1, 2), True)
    assert dict(result.recall) == pytest.approx(recall)
    assert result.r_precision == pytest.approx(expected_r)
    assert result.map_at_r == pytest.approx(expected_map)
    assert result.without_positive == lonely > 0


@pytest.mark.parametrize("exclude_self", [True, False])
def test_the_metrics_agree_with_pytorch_metric_learning(exclude_self):
    import torch
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    gallery, gallery_labels = random_set(1, 120, 7)
    queries, query_labels = (gallery, gallery_labels) if exclude_self else random_set(2, 50, 7)
    calculator = AccuracyCalculator(
        include=("precision_at_1", "r_precision", "mean_average_precision_at_r"), k="max_bin_count"
    )
    expected = calculator.get_accuracy(
        torch.from_numpy(queries),
        torch.from_numpy(query_labels),
        torch.from_numpy(gallery),
        torch.from_numpy(gallery_labels),
        ref_includes_query=exclude_self,
    )
    result = retrieval_metrics(queries, query_labels, gallery, gallery_labels, exclude_self=exclude_self)
    assert result.recall[1] == pytest.approx(expected["precision_at_1"])
    assert result.r_precision == pytest.approx(expected["r_precision"])
    assert result.map_at_r == pytest.approx(expected["mean_average_precision_at_r"])


def test_ties_are_broken_by_gallery_order():
    gallery = np.repeat(np.eye(2, dtype=np.float32)[:1], 3, axis=0)
    for labels, first in (([5, 6, 6], 1.0), ([6, 5, 6], 0.0)):
        result = retrieval_metrics(gallery[:1], np.array([5]), gallery, np.array(labels), ks=(1, 2))
        assert (result.recall[1], result.recall[2]) == (first, 1.0)


def test_no_item_finds_itself_even_among_its_own_duplicates():
    points = np.repeat(np.eye(2, dtype=np.float32), 2, axis=0)
    result = retrieval_metrics(
        points, np.array([0, 1, 0, 1]), points, np.array([0, 1, 0, 1]), exclude_self=True
    )
    assert result.recall[1] == 0.0


def test_perfect_clusters_score_one_everywhere():
    labels = np.arange(30) % 3
    points = np.eye(3, dtype=np.float32)[labels]
    result = retrieval_metrics(points, labels, points, labels, exclude_self=True)
    assert set(result.recall.values()) == {1.0}
    assert (result.r_precision, result.map_at_r) == (1.0, 1.0)
    assert (result.queries, result.without_positive) == (30, 0)


@pytest.mark.parametrize("gallery_size", [0, 2])
def test_without_any_positive_there_is_no_mean_and_no_failure(gallery_size):
    gallery, labels = np.eye(2, dtype=np.float32)[:gallery_size], np.array([8, 9])[:gallery_size]
    result = retrieval_metrics(circle(0, 90, 45), np.array([1, 1, 2]), gallery, labels)
    assert (result.queries, result.without_positive) == (0, 3)
    assert all(math.isnan(v) for v in (*result.recall.values(), result.r_precision, result.map_at_r))


def test_without_any_query_there_is_no_mean_and_no_failure():
    nothing = np.empty((0, 2), dtype=np.float32)
    result = retrieval_metrics(nothing, np.empty(0, dtype=np.int64), circle(0, 1), np.array([1, 2]))
    assert (result.queries, result.without_positive) == (0, 0)
    assert math.isnan(result.recall[1])


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), classes=st.integers(1, 8), size=st.integers(2, 40))
def test_recall_grows_with_k_and_no_precision_beats_its_bounds(seed, classes, size):
    points, labels = random_set(seed, size, classes, spread=2.0)
    result = retrieval_metrics(points, labels, points, labels, ks=(1, 2, 4, 8, 16), exclude_self=True)
    if result.queries:
        values = list(result.recall.values())
        assert values == sorted(values)
        assert 0 <= result.map_at_r <= result.r_precision <= 1
    assert result.queries + result.without_positive == size


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_neither_the_order_of_the_queries_nor_that_of_the_gallery_matters(seed):
    queries, query_labels = random_set(seed, 15, 4)
    gallery, gallery_labels = random_set(seed + 1, 40, 4)
    random = np.random.default_rng(seed)
    asked, kept = random.permutation(15), random.permutation(40)
    result = retrieval_metrics(queries, query_labels, gallery, gallery_labels)
    shuffled = retrieval_metrics(queries[asked], query_labels[asked], gallery[kept], gallery_labels[kept])
    assert dict(result.recall) == pytest.approx(dict(shuffled.recall))
    assert (result.r_precision, result.map_at_r) == pytest.approx((shuffled.r_precision, shuffled.map_at_r))


def test_a_rotation_of_both_sides_does_not_matter():
    points, labels = random_set(4, 30, 4)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0].astype(np.float32)
    turned = points @ rotation
    result = retrieval_metrics(points, labels, points, labels, exclude_self=True)
    assert retrieval_metrics(turned, labels, turned, labels, exclude_self=True) == result


def test_vectors_of_another_dimension_are_refused():
    with pytest.raises(
        DimensionMismatch, match="dimension 2 cannot be compared with a gallery of dimension 3"
    ):
        retrieval_metrics(circle(0), np.array([1]), np.eye(3, dtype=np.float32), np.arange(3))


def test_labels_that_are_too_few_are_refused():
    with pytest.raises(DimensionMismatch, match="gallery: vectors of shape"):
        retrieval_metrics(circle(0), np.array([1]), circle(0, 1), np.array([1]))


def test_excluding_self_needs_the_queries_to_be_the_gallery():
    with pytest.raises(DimensionMismatch, match="exclude_self"):
        retrieval_metrics(circle(0), np.array([1]), circle(0, 1), np.array([1, 1]), exclude_self=True)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_vectors_that_are_not_finite_are_refused(value):
    broken = circle(0, 1)
    broken[1, 0] = value
    with pytest.raises(GalleryError, match="not finite"):
        retrieval_metrics(circle(0), np.array([1]), broken, np.array([1, 1]))


@pytest.mark.parametrize("ks", [(), (0, 1)])
def test_recall_at_no_k_or_at_zero_is_refused(ks):
    with pytest.raises(SettingsError, match="K of 1 or more"):
        retrieval_metrics(circle(0), np.array([1]), circle(0), np.array([1]), ks=ks)
