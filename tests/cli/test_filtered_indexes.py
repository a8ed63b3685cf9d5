"""Parts of an index are kept while they are few and small enough, the ones used last the longest."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.filtered_indexes import FilteredIndexes
from storage.filters import parse_filter
from storage.index.flat import FlatIndex

GALLERY = 40
UNIT = np.eye(GALLERY, dtype=np.float32)
INDEX = FlatIndex.build(np.arange(GALLERY), UNIT)


class Reader:
    """A catalogue in which ``id < n`` is true of the first n items; notes what it is asked."""

    def __init__(self):
        self.asked = []

    def matching_ids(self, where):
        self.asked.append(where.value)
        return list(range(where.value))


def below(number):
    return parse_filter(f"id < {number}")


def test_without_a_filter_it_is_the_index_itself():
    assert FilteredIndexes().among(Reader(), INDEX, None) is INDEX


def test_the_same_filter_is_looked_up_once():
    kept, reader = FilteredIndexes(), Reader()
    first = kept.among(reader, INDEX, below(5))
    assert kept.among(reader, INDEX, below(5)) is first
    assert (reader.asked, first.ids.tolist()) == ([5], [0, 1, 2, 3, 4])


def test_what_was_used_last_stays_and_what_is_too_large_never_does():
    kept, reader = FilteredIndexes(most_items=10), Reader()
    for number in (4, 6, 4, 5, 4, 6, 11, 4):
        kept.among(reader, INDEX, below(number))
    # 4 and 6 fit; 5 pushes out 6, which was used before 4; then 6 pushes out 5; 11 is more than may be kept.
    assert reader.asked == [4, 6, 5, 6, 11]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, GALLERY), max_size=30), st.integers(0, 60))
def test_whatever_is_kept_a_part_holds_what_its_filter_says_and_all_of_them_no_more_than_may_be(
    numbers, most
):
    kept, reader = FilteredIndexes(most), Reader()
    for number in numbers:
        part = kept.among(reader, INDEX, below(number))
        assert part.ids.tolist() == list(range(number))
        assert sum(map(len, kept._kept.values())) <= most
