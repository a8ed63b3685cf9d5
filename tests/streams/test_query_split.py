import hashlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from continual_dml.records import ImageRecord, Role
from streams.query_split import hold_out_queries, surplus_queries


def record(number, category="a", role=Role.GALLERY):
    content_hash = hashlib.sha256(str(number).encode()).hexdigest()
    return ImageRecord(f"/task/{category}/{number}.jpg", content_hash, category, role, 10)


def query_hashes(records, fraction=0.2, most=100):
    return {r.content_hash for r in hold_out_queries(records, fraction, most) if r.role is Role.QUERY}


numbers = st.lists(st.integers(0, 10**9), min_size=1, max_size=40, unique=True)
fractions = st.floats(0.01, 0.9)
caps = st.integers(1, 12)


@given(numbers, fractions, caps)
def test_every_category_keeps_a_gallery_image_and_gives_a_query_where_it_has_two(drawn, fraction, most):
    records = [record(n, "ab"[n % 2]) for n in drawn]
    roles = Counter((r.category, r.role) for r in hold_out_queries(records, fraction, most))
    for category, images in Counter(r.category for r in records).items():
        queries = roles[category, Role.QUERY]
        assert queries <= most
        assert queries >= (images >= 2)
        assert queries < images


@given(numbers, fractions, caps, st.randoms())
def test_the_order_of_the_files_does_not_matter(drawn, fraction, most, random):
    records = [record(n) for n in drawn]
    shuffled = list(records)
    random.shuffle(shuffled)
    assert query_hashes(records, fraction, most) == query_hashes(shuffled, fraction, most)
    assert [r.path for r in hold_out_queries(shuffled, fraction, most)] == [r.path for r in shuffled]


@given(numbers, st.integers(10**9 + 1, 2 * 10**9), fractions, caps)
def test_a_new_file_moves_at_most_one_other(drawn, added, fraction, most):
    records = [record(n) for n in drawn]
    before = query_hashes(records, fraction, most)
    after = query_hashes([*records, record(added)], fraction, most)
    assert len((before ^ after) - {record(added).content_hash}) <= 1


def test_a_new_file_moves_no_other_where_nothing_had_to_be_repaired():
    records = [record(n) for n in range(200)]
    before = query_hashes(records)
    for n in range(200, 260):
        after = query_hashes([*records, record(n)])
        assert before <= after <= before | {record(n).content_hash}


def test_a_new_file_moves_nothing_in_other_categories():
    records = [record(n, "a") for n in range(5)]
    assert query_hashes(records) <= query_hashes([*records, *(record(n, "b") for n in range(100, 120))])


def test_about_a_fifth_is_held_out():
    assert len(query_hashes([record(n) for n in range(2000)], 0.2, 10**6)) == pytest.approx(400, abs=60)


def test_a_fraction_of_zero_holds_out_nothing():
    assert query_hashes([record(n) for n in range(50)], fraction=0.0) == set()


def test_the_only_image_of_a_category_is_gallery():
    for n in range(20):
        assert query_hashes([record(n)], fraction=0.9) == set()


def test_queries_beyond_the_cap_become_gallery():
    records = [record(n) for n in range(100)]
    capped, free = query_hashes(records, 0.5, 7), query_hashes(records, 0.5, 100)
    assert sorted(free)[:7] == sorted(capped)


def test_given_queries_beyond_the_cap_are_those_with_the_largest_hashes():
    queries = [record(n, "a", Role.QUERY) for n in range(6)] + [record(9, "b", Role.QUERY)]
    gallery = [record(n, "a") for n in range(20, 30)]
    hashes = sorted(r.content_hash for r in queries[:6])
    assert surplus_queries([*gallery, *queries], 4) == set(hashes[4:])
    assert surplus_queries([*gallery, *queries], 6) == set()
