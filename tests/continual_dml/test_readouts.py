"""Readouts on the unit circle: what is searched among what, and what a stage without a model leaves."""

import json

import numpy as np
import pytest

from continual_dml.workflows.readouts import (
    Readout,
    Unseen,
    Vectors,
    merged,
    search_among_themselves,
    search_gallery,
    search_unseen,
)


def circle(*pairs: tuple[float, int]) -> Vectors:
    """Return unit vectors at the given degrees with their labels."""
    angles = np.deg2rad([angle for angle, _ in pairs])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    return Vectors(vectors, np.array([label for _, label in pairs], dtype=np.int64))


GALLERIES = [circle((0, 0), (90, 1)), circle((20, 2), (180, 3))]
# The first task's queries at 12 degrees is nearest to an item of the second task, at 80 to its own.
QUERIES = [circle((12, 0), (80, 1)), circle((25, 2), (170, 3))]


def test_merged_within_and_group_search_different_galleries() -> None:
    readout = Readout("statistics", "reembedded", (1, 2))
    readout.measure(QUERIES[:1], GALLERIES[:1])
    readout.measure(QUERIES, GALLERIES)
    assert readout.recall["merged"] == {"1": [[1.0], [0.5, 1.0]], "2": [[1.0], [1.0, 1.0]]}
    assert readout.recall["within"]["1"] == [[1.0], [1.0, 1.0]]
    assert readout.recall["group"]["1"] == [[None], [None, None]], "no query has another of its category"
    assert readout.map_at_r["merged"] == [[1.0], [0.5, 1.0]]


def test_a_group_is_searched_among_itself() -> None:
    readout = Readout("trained", "projected", (1,))
    queries = [circle((0, 0), (10, 0), (90, 1), (15, 1))]
    readout.measure(queries, GALLERIES[:1])
    # 0 finds 10 of its own; 10 finds 15, 15 finds 10, and 90 finds 15 of its own
    assert readout.recall["group"]["1"] == [[0.5]]


def test_unseen_images_that_ask_are_searched_among_those_that_do_not() -> None:
    # 0 and 10 ask; among all the others each finds the other, in the gallery alone 10 finds 21 of label 1
    items = circle((0, 0), (10, 0), (-9, 0), (21, 1))
    asks = np.array([True, True, False, False])
    among_all, in_gallery = search_unseen(items, None, (1,)), search_unseen(items, asks, (1,))
    assert among_all is not None and among_all.recall[1] == 1.0
    assert in_gallery is not None and in_gallery.recall[1] == 0.5
    assert (among_all.queries, in_gallery.queries) == (3, 2), "21 has no other of its category"


def test_a_stage_without_a_model_is_a_row_of_nothing() -> None:
    readout = Readout("statistics", "sdc", (1,))
    readout.skip(1)
    found = search_among_themselves(circle((0, 0), (1, 0)), (1,))
    readout.measure(QUERIES, GALLERIES, Unseen(found, nmi=0.25))
    document = readout.document()
    assert document["recall"]["merged"]["1"] == [[None], [0.5, 1.0]]
    assert document["map_at_r"]["within"] == [[None], [1.0, 1.0]]
    assert document["unseen_recall"] == {"1": [None, 1.0]}
    assert document["nmi"] == [None, 0.25]
    assert json.loads(json.dumps(document, allow_nan=False)) == document


@pytest.mark.parametrize(
    "queries", [circle(), circle((0, 9))], ids=["no query", "no query with anything to find"]
)
def test_queries_with_nothing_to_find_have_no_recall(queries: Vectors) -> None:
    assert search_gallery(queries, GALLERIES[0], (1,)) is None
    assert search_among_themselves(queries, (1,)) is None


def test_an_empty_gallery_has_nothing_to_find() -> None:
    assert search_gallery(QUERIES[0], circle(), (1,)) is None


def test_an_item_does_not_find_itself() -> None:
    found = search_among_themselves(circle((0, 0), (1, 1), (50, 0), (51, 1)), (1,))
    assert found is not None
    assert found.recall[1] == 0.0
    assert found.queries == 4


def test_parts_are_merged_in_order() -> None:
    everything = merged(GALLERIES)
    assert everything.labels.tolist() == [0, 1, 2, 3]
    assert np.array_equal(everything.vectors[2:], GALLERIES[1].vectors)
