"""What a report shows beside its matrices, against slow loops over points that a person can check."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.metrics.confusions import (
    confusions,
    found_categories,
    sampled_queries,
    spread_rows,
    worst_queries,
)
from continual_dml.metrics.principal_plane import principal_plane
from continual_dml.metrics.recall import score_queries
from continual_dml.report_pages import pictured_items, without_items
from continual_dml.workflows.evaluate import Labelled, measure_all
from continual_dml.workflows.report_details import MOST_SAMPLED, report_details


def drawn(seed: int, size: int, categories: int, first_id: int) -> Labelled:
    """Return unit vectors in the order of their categories, two categories to a task."""
    random = np.random.default_rng(seed)
    labels = np.sort(random.integers(0, categories, size))
    vectors = np.random.default_rng(0).normal(size=(categories, 4))[labels] + random.normal(size=(size, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Labelled(vectors.astype(np.float32), labels, labels // 2, np.arange(size) + first_id)


def details_of(queries: Labelled, gallery: Labelled) -> dict:
    tasks = sorted(set(queries.tasks.tolist()))
    closest = measure_all(tasks, queries, gallery, [1, 2]).closest
    return report_details(3, queries, [f"{number:x}" for number in queries.ids], closest, gallery)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), items=st.integers(1, 30), in_order=st.booleans())
def test_the_first_places_and_the_best_of_the_own_category_are_those_of_a_slow_loop(seed, items, in_order):
    queries, gallery = drawn(seed, 9, 5, 0), drawn(seed + 1, items, 5, 100)
    order = np.arange(items) if in_order else np.random.default_rng(seed).permutation(items)
    vectors, labels = gallery.vectors[order], gallery.categories[order]

    found = score_queries(
        queries.vectors, queries.categories, vectors, labels, (1,), categories=True, places=4
    ).closest

    assert found is not None
    for row, (query, label) in enumerate(zip(queries.vectors, queries.categories, strict=True)):
        similarities = vectors @ query
        best = sorted(range(items), key=lambda item: (-similarities[item], item))[:4]
        if label not in labels:
            assert (found.rows[row] == -1).all()
            assert np.isnan(found.own[row])
            continue
        assert [one for one in found.rows[row].tolist() if one >= 0] == best
        assert found.similarities[row][: len(best)] == pytest.approx(similarities[best], abs=1e-6)
        assert found.own[row] == pytest.approx(similarities[labels == label].max(), abs=1e-6)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(-9, 9)), max_size=40))
def test_categories_and_confusions_are_those_of_counting_one_query_after_the_other(rows):
    asked, answered, margins = (np.array([row[place] for row in rows], dtype=np.int64) for place in range(3))

    found = {one.category: (one.found, one.queries) for one in found_categories(asked, answered)}
    pairs = confusions(asked, answered, margins, most=3, examples=2)

    assert found == {
        one: (sum(a == b == one for a, b, _ in rows), count) for one, count in Counter(asked.tolist()).items()
    }
    counted = Counter((a, b) for a, b, _ in rows if a != b)
    expected = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[:3]
    assert [((one.asked, one.answered), one.queries) for one in pairs] == expected
    for one in pairs:
        members = [row for row, (a, b, _) in enumerate(rows) if (a, b) == (one.asked, one.answered)]
        assert list(one.examples) == sorted(members, key=lambda row: (-margins[row], row))[:2]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=30), st.integers(1, 9))
def test_the_worst_queries_are_the_wrong_ones_with_the_largest_margins(rows, most):
    wrong = np.array([one for one, _ in rows], dtype=np.bool_)
    margins = np.array([margin for _, margin in rows], dtype=np.float64)
    slow = sorted((row for row, (one, _) in enumerate(rows) if one), key=lambda row: (-rows[row][1], row))
    assert worst_queries(wrong, margins, most) == slow[:most]


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 10**6)), unique_by=lambda row: row[1], max_size=60)
)
def test_a_sample_is_spread_over_tasks_and_the_same_queries_are_in_it_again(rows):
    tasks, hashes = np.array([row[0] for row in rows], dtype=np.int64), [f"{row[1]:07d}" for row in rows]
    sample = sampled_queries(tasks, hashes, most=10)

    assert len(sample) <= 10
    counts = Counter(tasks[sample].tolist())
    assert counts.keys() == set(tasks.tolist())
    assert max(counts.values(), default=0) <= 10 // max(1, len(counts))
    order = np.random.default_rng(0).permutation(len(rows))
    again = sampled_queries(tasks[order], [hashes[place] for place in order], most=10)
    assert [hashes[order[place]] for place in again] == [hashes[row] for row in sample]


def test_of_many_tasks_a_few_that_lie_evenly_are_sampled():
    tasks = np.arange(100)
    assert sampled_queries(tasks, [str(task) for task in tasks], most=3) == [0, 50, 99]


def test_a_task_keeps_its_first_queries_in_the_sample_when_another_task_comes():
    hashes = list("dcbahgfe")
    alone = sampled_queries(np.ones(4, dtype=np.int64), hashes[:4], most=4)
    beside = sampled_queries(np.repeat([1, 2], 4), hashes, most=4)
    assert (alone, beside) == ([3, 2, 1, 0], [3, 2, 7, 6])


@given(st.lists(st.integers(0, 6), max_size=80), st.integers(1, 40))
def test_spread_rows_are_as_many_of_each_group_and_never_too_many(groups, most):
    rows = spread_rows(np.array(groups, dtype=np.int64), most).tolist()
    assert rows == sorted(set(rows))
    assert len(rows) <= most
    counts, wanted = Counter(groups[row] for row in rows), max(1, most // max(1, len(set(groups))))
    assert all(count == min(wanted, groups.count(group)) for group, count in counts.items())


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), size=st.integers(1, 30), dimension=st.integers(1, 6))
def test_the_plane_is_that_of_a_singular_value_decomposition(seed, size, dimension):
    vectors = np.random.default_rng(seed).normal(size=(size, dimension)).astype(np.float32)
    found = principal_plane(vectors)

    centred = vectors - vectors.mean(axis=0, dtype=np.float64)
    places, values, _ = np.linalg.svd(centred, full_matrices=False)
    expected = (places * values)[:, :2]
    for axis in range(min(2, expected.shape[1])):
        distance = min(np.abs(found.places[:, axis] - side * expected[:, axis]).max() for side in (1.0, -1.0))
        assert distance < 1e-5
    if size > 1:
        shares = values[:2] ** 2 / (values**2).sum()
        assert found.explained[: len(shares)] == pytest.approx(shares, abs=1e-6)


def test_equal_vectors_all_lie_at_the_middle_and_explain_nothing():
    found = principal_plane(np.ones((3, 4), dtype=np.float32))
    assert not found.places.any()
    assert found.explained.tolist() == [0.0, 0.0]
    assert principal_plane(np.empty((0, 4), dtype=np.float32)).places.shape == (0, 2)


def test_details_name_queries_with_their_nearest_items_and_nothing_but_numbers():
    circle = np.radians([0, 10, 80, 90])
    vectors = np.stack([np.cos(circle), np.sin(circle)], axis=1).astype(np.float32)
    gallery = Labelled(vectors, np.array([1, 1, 2, 2]), np.array([1, 1, 2, 2]), np.array([11, 12, 13, 14]))
    asked = np.radians([8, 60])
    queries = Labelled(
        np.stack([np.cos(asked), np.sin(asked)], axis=1).astype(np.float32),
        np.array([1, 1]), np.array([1, 1]), np.array([21, 22]),
    )  # fmt: skip

    found = details_of(queries, gallery)

    assert found["categories"] == [{"category": 1, "queries": 2, "found": 1}]
    (confusion,) = found["confusions"]
    assert (confusion["asked"], confusion["answered"], confusion["queries"]) == (1, 2, 1)
    assert confusion["examples"] == [{"query": 22, "nearest": 13, "similarity": 0.9397}]
    (worst,) = found["worst"]
    assert worst["margin"] == pytest.approx(np.cos(np.radians(20)) - np.cos(np.radians(50)), abs=1e-4)
    assert [near["item"] for near in worst["neighbours"]] == [13, 14, 12, 11]
    assert [one["item"] for one in found["samples"]] == [21, 22]
    assert found["map"]["items"] == [11, 12, 13, 14]
    assert pictured_items(found) == [11, 12, 13, 14, 21, 22]
    assert json.loads(json.dumps(found)) == found


def test_queries_that_have_nothing_to_find_are_in_no_detail():
    gallery = drawn(1, 6, 2, 100)
    strangers = Labelled(gallery.vectors[:2], np.array([8, 9]), np.array([4, 4]), np.array([1, 2]))
    found = details_of(strangers, gallery)
    assert [found[name] for name in ("categories", "confusions", "samples", "worst")] == [[], [], [], []]


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), data=st.data())
def test_no_trace_of_removed_images_stays_in_the_details(seed, data):
    queries, gallery = drawn(seed, 40, 6, 1000), drawn(seed + 1, 60, 6, 2000)
    details = details_of(queries, gallery)
    assert len(details["samples"]) <= MOST_SAMPLED
    everything = [*queries.ids.tolist(), *gallery.ids.tolist()]
    gone = data.draw(st.sets(st.sampled_from(everything)))

    left = without_items(details, gone)

    numbers = {*pictured_items(left), *left["map"]["items"]}
    assert not numbers & gone
    assert not {str(one) for one in gone} & set(json.dumps(left).replace(",", " ").replace("}", " ").split())
    assert left["categories"] == details["categories"]
    assert len({len(left["map"][name]) for name in ("items", "tasks", "categories", "x", "y")}) == 1
    assert without_items(details, []) == details
