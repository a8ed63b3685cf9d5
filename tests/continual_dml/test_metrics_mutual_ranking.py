"""A gallery ranked by its own items, each two compared once."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.metrics import mutual_ranking, places_found
from continual_dml.metrics.mutual_ranking import can_rank_mutually, lone_threads, mutually_ranked
from continual_dml.metrics.places_found import PlacesFound
from continual_dml.metrics.ranking import descending, undescending
from continual_dml.metrics.recall import retrieval_metrics


def slow_ranking(vectors, depths):
    similarities = (vectors @ vectors.T).tolist()
    return [
        sorted((j for j in range(len(row)) if j != i), key=lambda j: (-row[j], j))[: depths[i]]
        for i, row in enumerate(similarities)
    ]


def collected(vectors, depths):
    found = {}
    for items, ranked in mutually_ranked(vectors, depths):
        for item, places in zip(items.tolist(), ranked.tolist(), strict=True):
            assert item not in found
            found[item] = places[: depths[item]]
    return [found[item] for item in range(len(vectors))]


def exact_vectors(seed, items, dimension, levels):
    """Return vectors whose products are exact, in any order of summation, and often equal."""
    whole = np.random.default_rng(seed).integers(-levels, levels + 1, (items, dimension))
    return whole.astype(np.float32) / 8


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    items=st.integers(2, 90),
    block=st.sampled_from([1, 7, 32, 64]),
    levels=st.sampled_from([1, 3, 100]),
    caution=st.sampled_from([0.0, 2.5]),
    deepest=st.floats(0, 1),
)
def test_the_places_are_those_of_a_full_sort_whatever_was_foretold(
    seed, items, block, levels, caution, deepest
):
    vectors = exact_vectors(seed, items, 4, levels)
    most = max(1, round(deepest * (items - 1)))
    depths = np.random.default_rng(seed).integers(0, most + 1, items)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mutual_ranking, "BLOCK", block)
        patch.setattr(mutual_ranking, "BLOCKS_AT_A_TIME", 2)
        patch.setattr(places_found, "CAUTION", caution)
        assert collected(vectors, depths) == slow_ranking(vectors, depths)


def test_little_is_kept_also_of_a_gallery_in_the_order_of_its_categories(monkeypatch):
    kept = []
    keep = PlacesFound.keep
    monkeypatch.setattr(PlacesFound, "keep", lambda *what: kept.append(len(what[1])) or keep(*what))
    monkeypatch.setattr(mutual_ranking, "BLOCK", 128)
    noise = np.random.default_rng(0).normal(size=(2000, 16)) * 16
    vectors = exact_vectors(0, 100, 16, 40).repeat(20, axis=0) + noise.round().astype(np.float32) / 16
    found = sum(len(items) for items, _ in mutually_ranked(vectors, np.full(2000, 19)))
    assert found == 2000
    assert sum(kept) / len(vectors) < 4 * 19


@pytest.mark.parametrize("labels", ["few", "many", "single"])
def test_metrics_of_a_gallery_by_itself_do_not_depend_on_how_it_was_ranked(labels, monkeypatch):
    classes = {"few": 3, "many": 200, "single": 700}[labels]
    vectors = exact_vectors(1, 700, 6, 2)
    names = np.random.default_rng(2).integers(0, classes, 700)
    mutual = retrieval_metrics(vectors, names, vectors, names, ks=(1, 3), exclude_self=True)
    monkeypatch.setattr("continual_dml.metrics.recall.can_rank_mutually", lambda *asked: False)
    assert retrieval_metrics(vectors, names, vectors, names, ks=(1, 3), exclude_self=True) == mutual


def test_places_that_would_not_fit_in_memory_are_not_kept():
    vectors = np.zeros((10_000, 8), dtype=np.float32)
    assert can_rank_mutually(vectors, np.full(10_000, 50))
    assert not can_rank_mutually(vectors, np.full(10_000, 5_000))
    assert not can_rank_mutually(vectors[:500], np.full(500, 5))


def test_threads_of_the_pool_leave_the_setting_of_torch_as_it_was():
    before = torch.get_num_threads()
    with lone_threads() as pool:
        assert list(pool.map(lambda _: torch.get_num_threads(), range(4))) == [1] * 4
    assert torch.get_num_threads() == before


def test_numbers_in_the_opposite_order_of_similarities_are_turned_back_into_them():
    values = np.array([-1.0, -0.25, 0.0, 1e-45, 0.5, 1.0, np.inf, -np.inf], dtype=np.float32)
    assert undescending(descending(values)).tolist() == values.tolist()
