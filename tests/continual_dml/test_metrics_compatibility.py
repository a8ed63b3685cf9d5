"""What old vectors are worth to a new model's queries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.errors import DimensionMismatch
from continual_dml.metrics.compatibility import find_others, refresh_efficiency


def on_circle(*degrees: float) -> np.ndarray:
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


EVERY = np.ones(4, dtype=bool)
LABELS = np.array([7, 7, 8, 8])
LIVE = on_circle(0, 10, 90, 100)


def test_nobody_finds_itself() -> None:
    assert find_others(LIVE, LIVE, k=1).rows[:, 0].tolist() == [1, 0, 3, 2]


def test_a_gallery_that_turned_away_is_searched_where_it_is_now() -> None:
    turned = on_circle(90, 100, 180, 190)  # categories 7 and 8 as an older model saw them
    found = find_others(LIVE, turned, k=1)
    assert found.rows[:, 0].tolist() == [1, 0, 0, 1], "what lies at 90 degrees is of category 7 there"
    assert found.recall_at_1(LABELS, EVERY) == 0.5
    assert found.recall_at_1(LABELS, np.array([False, False, True, True])) == 0.0


def test_queries_alone_in_their_category_are_left_out() -> None:
    labels = np.array([7, 7, 8, 9])
    assert find_others(LIVE, LIVE).recall_at_1(labels, EVERY) == 1.0
    assert find_others(LIVE, LIVE).recall_at_1(labels, np.array([False, False, True, True])) is None


def test_overlap_is_the_share_of_common_neighbours() -> None:
    one, other = find_others(LIVE, LIVE, k=2), find_others(LIVE, on_circle(0, 10, 90, 20), k=2)
    assert one.overlap(one, EVERY) == 1.0
    slow = [
        len(set(mine) & set(theirs)) / 2
        for mine, theirs in zip(one.rows.tolist(), other.rows.tolist(), strict=True)
    ]
    assert one.overlap(other, EVERY) == pytest.approx(sum(slow) / 4)
    assert one.overlap(other, ~EVERY) is None


def test_no_more_neighbours_are_found_than_there_are_others() -> None:
    assert find_others(LIVE, LIVE, k=10).rows.shape == (4, 3)


@pytest.mark.parametrize("searched", [LIVE[:3], LIVE[:, :1]])
def test_another_gallery_than_of_the_same_images_is_refused(searched: np.ndarray) -> None:
    with pytest.raises(DimensionMismatch, match="give the same images"):
        find_others(LIVE, searched)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.floats(0, 1)] * 3), min_size=1, max_size=5))
def test_efficiency_is_1_for_what_is_as_good_as_anew_and_0_for_what_is_as_bad_as_before(
    rows: list[tuple[float, float, float]],
) -> None:
    stale, _, anew = (list(column) for column in zip(*rows, strict=True))
    gain = np.mean(anew) - np.mean(stale)
    for carried, expected in ((anew, 1.0), (stale, 0.0)):
        found = refresh_efficiency(stale, carried, anew)
        assert found is None if gain < 0.01 else found == pytest.approx(expected, abs=1e-6)


def test_tasks_of_which_something_is_unknown_are_left_out_of_the_efficiency() -> None:
    assert refresh_efficiency([0.0, 0.9], [0.5, None], [1.0, 0.9]) == 0.5
    assert refresh_efficiency([None], [0.5], [1.0]) is None
