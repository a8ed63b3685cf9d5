import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from continual_dml.errors import SettingsError
from continual_dml.records import Experience, LabelledImages, LearningStream
from streams.named.validation import validation_stream

TRAIN, QUERY, UNSEEN = 0, 1, 2


def marked_images(sizes, kind, first=0):
    """Squares whose first pixel says (kind, label, number of the image in its category)."""
    marks = [(kind, label, number) for label, size in sizes.items() for number in range(first, first + size)]
    pixels = np.zeros((len(marks), 2, 2, 3), dtype=np.uint8)
    pixels[:, 0, 0] = np.array(marks, dtype=np.uint8).reshape(-1, 3)
    return LabelledImages(pixels, np.array([label for _, label, _ in marks], dtype=np.int64))


def marks(images):
    return [] if images is None else [tuple(mark) for mark in images.pixels[:][:, 0, 0].tolist()]


def stream_of(tasks, unseen=None):
    return LearningStream(
        "s",
        tuple(
            Experience(f"t{n}", marked_images(sizes, TRAIN, 50 * n), marked_images(sizes, QUERY))
            for n, sizes in enumerate(tasks)
        ),
        unseen,
    )


task_sizes = st.dictionaries(st.integers(0, 12), st.integers(1, 12), min_size=1, max_size=8)


@given(st.lists(task_sizes, min_size=1, max_size=4), st.integers(0, 9), st.floats(0, 0.9), st.floats(0, 0.9),
       st.booleans())  # fmt: skip
def test_tuning_sees_training_images_only_and_no_category_on_both_sides(tasks, seed, held, query, series):
    stream = stream_of(tasks, marked_images({99: 4}, UNSEEN))
    tuning = validation_stream(stream, seed, held, query, contiguous=series)
    original = {mark for task in stream.tasks for mark in marks(task.train)}
    shown = [mark for task in tuning.tasks for part in (task.train, task.query) for mark in marks(part)]
    shown += marks(tuning.unseen)
    assert len(shown) == len(set(shown)) == len(original)
    assert set(shown) == original  # nothing of kind QUERY or UNSEEN, and nothing lost
    held_out = {label for _, label, _ in marks(tuning.unseen)}
    for before, after in zip(stream.tasks, tuning.tasks, strict=True):
        assert before.name == after.name
        assert [label for _, label, _ in marks(after.train)] == after.train.labels.tolist()
        learned = set(after.train.labels.tolist())
        assert not learned & held_out
        assert set(after.query.labels.tolist()) <= learned
        assert learned | held_out >= set(before.train.labels.tolist())
        assert len(learned) >= min(2, len(set(before.train.labels.tolist()) - held_out))


def test_shares_are_those_asked_for():
    tuning = validation_stream(stream_of([dict.fromkeys(range(8), 10)]), 0, 0.25, 0.3)
    assert len(set(tuning.unseen.labels.tolist())) == 2
    assert (len(tuning.tasks[0].train), len(tuning.tasks[0].query)) == (6 * 7, 6 * 3)


def test_each_seed_draws_differently_and_the_same_again():
    stream = stream_of([dict.fromkeys(range(8), 10)])
    draws = [str(marks(validation_stream(stream, seed).tasks[0].query)) for seed in (0, 1, 2, 0)]
    assert draws[0] == draws[3]
    assert len(set(draws)) == 3


def test_queries_of_series_lie_together_at_one_end():
    tuning = validation_stream(stream_of([dict.fromkeys(range(8), 10)]), 1, contiguous=True)
    starts = set()
    for label in set(tuning.tasks[0].query.labels.tolist()):
        numbers = [number for _, own, number in marks(tuning.tasks[0].query) if own == label]
        assert numbers in ([0, 1, 2], [7, 8, 9])
        starts.add(numbers[0])
    assert starts == {0, 7}


def test_a_category_that_a_later_task_extends_is_held_out_everywhere_or_nowhere():
    for seed in range(10):
        tuning = validation_stream(stream_of([{0: 5, 1: 5, 2: 5, 3: 5}, {2: 5, 3: 5, 4: 5, 5: 5}]), seed, 0.5)
        trained = {label for task in tuning.tasks for label in task.train.labels.tolist()}
        assert trained.isdisjoint(tuning.unseen.labels.tolist())
        assert all(len(set(task.train.labels.tolist())) >= 2 for task in tuning.tasks)


def test_a_task_of_two_categories_keeps_both_and_then_nothing_is_unseen():
    tuning = validation_stream(stream_of([{0: 4, 1: 4}]), 0, 0.5)
    assert tuning.unseen is None
    assert set(tuning.tasks[0].train.labels.tolist()) == {0, 1}


@pytest.mark.parametrize("shares", [(-0.1, 0.3), (1.0, 0.3), (0.2, 1.0), (0.2, float("nan"))])
def test_shares_that_leave_nothing_are_refused(shares):
    with pytest.raises(SettingsError, match="at least 0 and below 1"):
        validation_stream(stream_of([{0: 4}]), 0, *shares)
