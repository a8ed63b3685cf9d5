"""Class-balanced batches."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.strategies.sampling import balanced_batches, default_steps


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=12),
    st.integers(1, 6),
    st.integers(1, 4),
    st.integers(0, 1000),
)
def test_every_batch_holds_as_many_images_of_as_many_categories(
    sizes: list[int], categories: int, images: int, seed: int
) -> None:
    labels = np.repeat(np.arange(len(sizes)) * 7, sizes)  # ids with gaps, as in a catalogue
    for rows in balanced_batches(labels, 5, categories, images, np.random.default_rng(seed)):
        _, counts = np.unique(labels[rows], return_counts=True)
        assert counts.tolist() == [images] * min(categories, len(sizes))


def test_each_category_comes_up_before_any_comes_up_again() -> None:
    labels = np.repeat(np.arange(6), 3)
    batches = list(balanced_batches(labels, 4, 3, 2, np.random.default_rng(0)))
    for first, second in ((0, 1), (2, 3)):
        seen = set(labels[batches[first]]) | set(labels[batches[second]])
        assert seen == set(range(6))


def test_images_repeat_only_where_a_category_has_too_few() -> None:
    labels = np.array([0] * 2 + [1] * 10)
    for rows in balanced_batches(labels, 20, 2, 4, np.random.default_rng(0)):
        assert len(set(rows[labels[rows] == 1].tolist())) == 4
        assert set(rows[labels[rows] == 0].tolist()) <= {0, 1}


def test_the_same_seed_deals_the_same_batches() -> None:
    labels = np.repeat(np.arange(5), 4)
    deal = lambda seed: np.concatenate(list(balanced_batches(labels, 9, 3, 2, np.random.default_rng(seed))))  # noqa: E731
    assert np.array_equal(deal(1), deal(1))
    assert not np.array_equal(deal(1), deal(2))


def test_steps_follow_the_epochs_and_have_sane_bounds_without_them() -> None:
    assert default_steps(600, 60, epochs=2) == 20
    assert default_steps(5, 60, epochs=0.01) == 1
    assert default_steps(10, 60, None) == 60
    assert default_steps(1200, 60, None) == 200
    assert default_steps(10_000_000, 60, None) == 1000
