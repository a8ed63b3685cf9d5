import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.metrics import nearest_categories as module
from continual_dml.metrics import ranking
from continual_dml.metrics.nearest_categories import closeness_of_categories, nearest_categories


def unit(angles):
    radians = np.radians(angles)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def slow_two_nearest(query, gallery, labels):
    best = {}
    for vector, label in zip(gallery, labels, strict=True):
        best[label] = max(best.get(label, -2.0), float(query @ vector))
    ordered = sorted(best.items(), key=lambda pair: -pair[1])[:2]
    return [*ordered, *[(-1, -1.0)] * (2 - len(ordered))]


@pytest.mark.parametrize("in_order", [False, True])
@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), categories=st.integers(1, 6), items=st.integers(1, 40))
def test_the_two_nearest_categories_are_those_of_a_slow_loop(in_order, seed, categories, items):
    random = np.random.default_rng(seed)
    queries, gallery = unit(random.uniform(0, 360, 9)), unit(random.uniform(0, 360, items))
    labels = random.integers(0, categories, items) * 3
    if in_order:
        labels.sort()
    found = nearest_categories(queries, gallery, labels)
    for row, query in enumerate(queries):
        expected = slow_two_nearest(query, gallery, labels.tolist())
        assert found.categories[row].tolist() == [label for label, _ in expected]
        assert found.similarities[row] == pytest.approx([value for _, value in expected], abs=1e-6)


def test_chunks_of_any_size_find_the_same(monkeypatch):
    queries, gallery, labels = unit([0, 50, 100, 200]), unit([10, 60, 190]), np.array([2, 5, 2])
    whole = nearest_categories(queries, gallery, labels)
    monkeypatch.setattr(ranking, "SIMILARITIES_PER_CHUNK", 1)
    monkeypatch.setattr(ranking, "FEWEST_QUERIES", 1)
    parts = nearest_categories(queries, gallery, labels)
    assert parts.categories.tolist() == whole.categories.tolist()
    assert np.array_equal(parts.similarities, whole.similarities)


def test_no_queries_find_nothing():
    found = nearest_categories(np.zeros((0, 2), dtype=np.float32), unit([0]), np.array([4]))
    assert found.categories.shape == found.similarities.shape == (0, 2)


def test_closeness_is_the_median_cosine_to_the_next_item_of_the_own_category():
    gallery = unit([0, 10, 30, 100, 180])
    labels = np.array([7, 7, 7, 1, 2])
    found = closeness_of_categories(gallery, labels)
    next_ones = [math.cos(math.radians(angle)) for angle in (10, 10, 20)]
    assert found.categories.tolist() == [1, 2, 7]
    assert np.isnan(found.values[:2]).all()
    assert found.values[2] == pytest.approx(np.median(next_ones), abs=1e-6)
    assert found.typical == pytest.approx(np.median(next_ones), abs=1e-6)


def test_the_typical_closeness_is_that_of_items_not_of_categories():
    gallery = unit([0, 10, 20, 30, 100, 160])
    found = closeness_of_categories(gallery, np.array([0, 0, 0, 0, 1, 1]))
    assert found.typical == pytest.approx(math.cos(math.radians(10)), abs=1e-6)


def test_categories_of_single_items_have_no_closeness():
    found = closeness_of_categories(unit([0, 90]), np.array([0, 1]))
    assert np.isnan(found.values).all()
    assert math.isnan(found.typical)


def test_a_large_category_is_asked_about_evenly_spread_items_only(monkeypatch):
    monkeypatch.setattr(module, "MOST_ASKED", 2)
    gallery = unit([0, 1, 50, 100])
    found = closeness_of_categories(gallery, np.zeros(4, dtype=np.int64))
    first_and_last = [math.cos(math.radians(1)), math.cos(math.radians(50))]
    assert found.values[0] == pytest.approx(np.mean(first_and_last), abs=1e-6)


def test_of_two_categories_that_are_equally_near_the_smaller_comes_first():
    gallery = unit([10, 10, 80])
    for labels in ([7, 3, 5], [3, 7, 5]):
        found = nearest_categories(unit([10]), gallery, np.array(labels))
        assert found.categories.tolist() == [[3, 7]]


def test_an_empty_gallery_has_no_category():
    found = nearest_categories(unit([10]), np.zeros((0, 2), dtype=np.float32), np.zeros(0, dtype=np.int64))
    assert found.categories.tolist() == [[-1, -1]]
    assert found.similarities.tolist() == [[-1.0, -1.0]]
