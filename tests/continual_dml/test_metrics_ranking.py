import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.metrics import ranking
from continual_dml.metrics.ranking import best_columns, lower_bound, ranked_items


def slow_best_columns(similarities, k):
    return [
        sorted(range(len(row)), key=lambda column: (-row[column], column))[:k]
        for row in similarities.tolist()
    ]


def random_table(seed, rows, columns, levels):
    """Return a table with so few different values that ties are everywhere."""
    whole = np.random.default_rng(seed).integers(-levels, levels, (rows, columns))
    return whole.astype(np.float32) / levels


@settings(deadline=None, max_examples=120)
@given(
    seed=st.integers(0, 10_000),
    columns=st.integers(1, 200),
    depth=st.floats(0, 1),
    levels=st.sampled_from([1, 2, 10, 10**6]),
)
def test_the_best_columns_are_those_of_a_full_sort_also_among_ties(seed, columns, depth, levels):
    similarities = random_table(seed, 4, columns, levels)
    k = max(1, round(depth * columns))
    assert best_columns(similarities, k).tolist() == slow_best_columns(similarities, k)


def test_negative_entries_both_zeros_and_infinities_are_in_order():
    similarities = np.array([[-0.0, 1.0, -np.inf, 0.0, -0.5, np.inf, -1e-45, 1e-45]], dtype=np.float32)
    assert best_columns(similarities, 8).tolist() == [[5, 1, 7, 0, 3, 6, 4, 2]]


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_rows_that_several_threads_share_are_ranked_alike(rows, monkeypatch):
    similarities = random_table(3, rows, 90, 10)
    monkeypatch.setattr(ranking, "SHARED_FROM", 1)
    monkeypatch.setattr("torch.get_num_threads", lambda: 3)
    assert best_columns(similarities, 4).tolist() == slow_best_columns(similarities, 4)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), columns=st.integers(1, 300), k=st.integers(1, 20))
def test_at_least_k_entries_of_a_row_reach_the_lower_bound(seed, columns, k):
    similarities = random_table(seed, 3, columns, 50)
    reached = (similarities >= lower_bound(similarities, k)[:, None]).sum(axis=1)
    assert (reached >= min(k, columns)).all()


def test_the_lower_bound_leaves_out_nearly_all_of_a_large_gallery_sorted_by_category():
    similarities = np.random.default_rng(0).random((5, 3200), dtype=np.float32)
    similarities[:, 1000:1010] += 1  # the query's category lies together
    reached = (similarities >= lower_bound(similarities, 10)[:, None]).sum(axis=1)
    assert (reached == 10).all()


@pytest.mark.parametrize("budget", [1, 30, 10**6])
def test_chunks_of_any_size_give_the_same_ranking(budget, monkeypatch):
    monkeypatch.setattr(ranking, "SIMILARITIES_PER_CHUNK", budget)
    monkeypatch.setattr(ranking, "FEWEST_QUERIES", 1)
    axes = np.eye(3, dtype=np.float32)
    queries, gallery = axes[[0, 1, 2, 0, 1]], axes[[1, 0, 2, 0]]
    parts = list(ranked_items(queries, gallery, np.full(5, 2)))
    ranked = np.concatenate([rows for _, rows in parts])
    assert ranked.tolist() == [[1, 3], [0, 1], [2, 0], [1, 3], [0, 1]]
    covered = [i for part, _ in parts for i in range(5)[part]]
    assert covered == list(range(5))


def test_a_chunk_is_ranked_as_deep_as_its_deepest_query():
    points = np.eye(4, dtype=np.float32)
    [(_, rows)] = ranked_items(points, points, np.array([1, 1, 2, 3]))
    assert rows.shape == (4, 3)


def test_no_query_finds_its_own_row():
    points = np.eye(4, dtype=np.float32)
    [(_, rows)] = ranked_items(points[[2, 0]], points, np.array([4, 4]), own_rows=np.array([2, 0]))
    assert rows.tolist() == [[0, 1, 3], [1, 2, 3]]


def test_read_only_strided_and_half_precision_galleries_are_searched():
    gallery = np.eye(4, dtype=np.float16)[:, ::-1]
    gallery.setflags(write=False)
    [(_, rows)] = ranked_items(np.eye(4, dtype=np.float32), gallery, np.ones(4, dtype=np.int64))
    assert rows.ravel().tolist() == [3, 2, 1, 0]
