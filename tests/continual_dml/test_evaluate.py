"""Each task's queries against the merged gallery and within the task, on points of the unit circle."""

import numpy as np

from continual_dml.records import GalleryLabels
from continual_dml.workflows.evaluate import Labelled, labelled_gallery, measure_all


def on_circle(degrees: list[float], categories: list[int], tasks: list[int]) -> Labelled:
    angles = np.deg2rad(degrees)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    return Labelled(vectors, np.array(categories), np.array(tasks))


GALLERY = on_circle([0, 10, 80, 90], categories=[1, 2, 3, 4], tasks=[1, 1, 2, 2])


def values(measurements: list, scope: str, k: int = 1) -> dict[int, float]:
    return {m.task_id: m.value for m in measurements if (m.metric, m.k, m.scope) == ("recall", k, scope)}


def test_another_tasks_item_can_win_in_the_merged_gallery_but_not_within_the_task() -> None:
    queries = on_circle([50, 2], categories=[2, 1], tasks=[1, 1])  # 50 degrees: 80 is nearer than 10
    measured = measure_all([1], queries, GALLERY, recall_at=[1, 2]).measurements
    assert values(measured, "merged") == {1: 0.5}
    assert values(measured, "merged", k=2) == {1: 1.0}
    assert values(measured, "within") == {1: 1.0}


def test_each_task_is_asked_with_its_own_queries() -> None:
    queries = on_circle([1, 89], categories=[1, 3], tasks=[1, 2])
    assert values(measure_all([1, 2], queries, GALLERY, [1]).measurements, "merged") == {1: 1.0, 2: 0.0}


def test_queries_without_anything_to_find_are_counted_and_not_averaged() -> None:
    queries = on_circle([5, 0], categories=[99, 1], tasks=[1, 1])
    measured = measure_all([1], queries, GALLERY, [1]).measurements
    (counted,) = [m for m in measured if (m.metric, m.scope) == ("queries", "merged")]
    assert (counted.queries, counted.without_positive) == (1, 1)
    only = on_circle([5], categories=[99], tasks=[1])
    measured = measure_all([1], only, GALLERY, [1]).measurements
    assert {m.metric for m in measured} == {"queries"}, "no mean over nothing"
    assert measured[0].without_positive == 1


def test_a_task_without_queries_is_not_measured() -> None:
    assert measure_all([2], on_circle([0], [1], [1]), GALLERY, [1]).measurements == []


def test_the_two_nearest_categories_of_each_query_are_found_on_the_way() -> None:
    queries = on_circle([1, 60, 88], categories=[1, 99, 4], tasks=[1, 1, 2])
    nearest = measure_all([1, 2], queries, GALLERY, [1]).nearest
    assert nearest.categories.tolist() == [[1, 2], [-1, -1], [4, 3]], "none for what the gallery has not"


def test_a_labelled_gallery_lies_category_after_category_whatever_its_parts() -> None:
    labels = GalleryLabels(np.array([1, 2, 5, 9]), np.array([4, 3, 4, 3]), np.array([1, 1, 2, 2]))
    parts = [np.array([9, 1]), np.array([2, 5])]
    vectors = [on_circle([90, 10], [0, 0], [0, 0]).vectors, on_circle([20, 50], [0, 0], [0, 0]).vectors]
    found = labelled_gallery(parts, vectors, labels)
    assert found.categories.tolist() == [3, 3, 4, 4]
    assert found.tasks.tolist() == [2, 1, 1, 2]
    assert np.array_equal(found.vectors, np.concatenate(vectors)[[0, 2, 1, 3]])
