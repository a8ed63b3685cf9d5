import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from continual_dml.errors import CdmlError
from continual_dml.metrics.forgetting import DEFINITIONS, RecallMatrix

THREE_TASKS = [[0.9], [0.7, 0.8], [0.75, 0.6, 1.0]]
matrices = st.integers(1, 6).flatmap(
    lambda tasks: st.tuples(
        *(
            st.lists(st.none() | st.floats(0, 1), min_size=i + 1, max_size=i + 1).map(tuple)
            for i in range(tasks)
        )
    )
)


def mean(values):
    return pytest.approx(sum(values) / len(values)) if values else None


def slow_average(rows, t):
    return mean([value for value in rows[t] if value is not None])


def slow_forgetting(rows, t):
    losses = []
    for j in range(t):
        earlier = [rows[i][j] for i in range(j, t) if rows[i][j] is not None]
        if earlier and rows[t][j] is not None:
            losses.append(max(earlier) - rows[t][j])
    return mean(losses)


def slow_backward_transfer(rows, t):
    return mean(
        [rows[t][j] - rows[j][j] for j in range(t) if rows[t][j] is not None and rows[j][j] is not None]
    )


def test_three_tasks_by_hand():
    matrix = RecallMatrix(THREE_TASKS)
    assert matrix.average() == pytest.approx(2.35 / 3)
    assert matrix.forgetting() == pytest.approx((0.15 + 0.2) / 2)
    assert matrix.backward_transfer() == pytest.approx((-0.15 - 0.2) / 2)


def test_the_best_earlier_value_counts_and_not_the_first():
    matrix = RecallMatrix([[0.5], [0.9, 0.5], [0.6, 0.5, 0.5]])
    assert matrix.forgetting() == pytest.approx((0.3 + 0.0) / 2)
    assert matrix.backward_transfer() == pytest.approx((0.1 + 0.0) / 2)


def test_a_state_before_the_last_can_be_asked_for():
    matrix = RecallMatrix(THREE_TASKS)
    assert matrix.average(after=0) == 0.9
    assert matrix.average(after=1) == pytest.approx(0.75)
    assert matrix.forgetting(after=1) == pytest.approx(0.2)
    assert matrix.backward_transfer(after=1) == pytest.approx(-0.2)


def test_improvement_is_negative_forgetting():
    assert RecallMatrix([[0.5], [0.7, 0.6]]).forgetting() == pytest.approx(-0.2)


def test_with_a_single_task_nothing_can_be_forgotten_yet_and_that_is_not_zero():
    matrix = RecallMatrix([[0.9]])
    assert (matrix.average(), matrix.forgetting(), matrix.backward_transfer()) == (0.9, None, None)


def test_without_tasks_nothing_is_known():
    matrix = RecallMatrix([])
    assert (matrix.average(), matrix.forgetting(), matrix.backward_transfer()) == (None, None, None)


def test_a_task_without_queries_is_skipped():
    matrix = RecallMatrix([[0.9], [0.7, None], [0.6, None, 0.8]])
    assert matrix.average() == pytest.approx(0.7)
    assert matrix.forgetting() == pytest.approx(0.3)
    assert matrix.backward_transfer() == pytest.approx(-0.3)


def test_a_value_missing_right_after_learning_leaves_forgetting_to_the_later_ones():
    matrix = RecallMatrix([[None], [0.8, 0.5], [0.6, 0.5, 0.9]])
    assert matrix.forgetting() == pytest.approx(0.1)
    assert matrix.backward_transfer() == pytest.approx(0.0)


@given(rows=matrices)
def test_the_summaries_of_every_state_are_their_definitions(rows):
    matrix = RecallMatrix(rows)
    for t in range(len(rows)):
        assert matrix.average(after=t) == slow_average(rows, t)
        assert matrix.forgetting(after=t) == slow_forgetting(rows, t)
        assert matrix.backward_transfer(after=t) == slow_backward_transfer(rows, t)


@given(rows=matrices)
def test_the_last_state_is_the_one_asked_for_by_default(rows):
    matrix, last = RecallMatrix(rows), len(rows) - 1
    assert matrix.average() == matrix.average(after=last)
    assert matrix.forgetting() == matrix.forgetting(after=last)
    assert matrix.backward_transfer() == matrix.backward_transfer(after=last)


@given(rows=matrices)
def test_forgetting_is_never_less_than_what_backward_transfer_lost_when_all_is_measured(rows):
    known = RecallMatrix([[value or 0.0 for value in row] for row in rows])
    if len(rows) > 1:
        assert known.forgetting() >= -known.backward_transfer() - 1e-12


@pytest.mark.parametrize("rows", [[[0.1, 0.2]], [[0.1], [0.2]], [[0.1], [0.2, 0.3, 0.4]]])
def test_rows_that_are_no_lower_triangle_are_refused(rows):
    with pytest.raises(CdmlError, match="one entry for each"):
        RecallMatrix(rows)


@pytest.mark.parametrize("after", [3, -4])
def test_a_state_that_never_was_is_refused(after):
    with pytest.raises(CdmlError, match=f"no task {after}"):
        RecallMatrix(THREE_TASKS).average(after=after)


def test_a_matrix_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RecallMatrix(THREE_TASKS).rows = []


def test_every_number_has_one_sentence_to_stand_beside_it():
    summaries = {"average", "forgetting", "backward_transfer"}
    assert summaries | {"recall_at_k", "r_precision", "map_at_r", "without_positive"} <= set(DEFINITIONS)
    for name, sentence in DEFINITIONS.items():
        assert sentence.endswith("."), name
        assert sentence.count(".") == 1, name
        assert ": " in sentence, name
