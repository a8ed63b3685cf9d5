"""Many queries at once, chosen by matrix products: the same items as one after the other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from storage.index import best_products as products
from storage.index import flat_f16
from storage.index.best_products import best_products
from storage.index.flat_f16 import FlatF16Index
from storage.index.numpy_exact import NumpyExactIndex


def units(count: int, seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal((count, 24)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@pytest.mark.parametrize("queries", [1, 5, 64, 65, 130])
@pytest.mark.parametrize("rows_at_a_time", [7, 100, 1000])
def test_the_largest_products_of_all_blocks_come_in_order(queries, rows_at_a_time, monkeypatch):
    monkeypatch.setattr(products, "_ROWS", rows_at_a_time)
    codes, asked = units(300, 0).astype(np.float16), units(queries, 1)
    values, rows = best_products(torch, codes, asked, 9)
    every = asked @ codes.astype(np.float32).T
    np.testing.assert_allclose(values, -np.sort(-every, axis=1)[:, :9], rtol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(every, rows, axis=1), values, rtol=1e-5)


def test_all_rows_can_be_asked_for():
    codes, asked = units(20, 0).astype(np.float16), units(3, 1)
    _, rows = best_products(torch, codes, asked, 20)
    assert (np.sort(rows, axis=1) == np.arange(20)).all()


@pytest.mark.parametrize("copies", [1, 40])
def test_many_queries_find_what_the_reference_finds_copies_in_the_order_of_their_ids(copies, monkeypatch):
    monkeypatch.setattr(products, "_ROWS", 64)
    vectors = np.repeat(units(10, 0), copies, axis=0)
    ids = np.random.default_rng(2).permutation(len(vectors)).astype(np.int64)
    asked = np.concatenate([units(flat_f16._MANY, 3), vectors[:4]])
    found = FlatF16Index.build(ids, vectors).search(asked, 7)
    expected = NumpyExactIndex.build(ids, vectors).search(asked, 7)
    assert (found.ids == expected.ids).all()


def test_few_queries_are_asked_of_faiss(monkeypatch):
    monkeypatch.setattr(flat_f16, "best_products", None)
    index = FlatF16Index.build(np.arange(50, dtype=np.int64), units(50, 0))
    assert index.search(units(flat_f16._MANY - 1, 1), 3).ids.shape == (flat_f16._MANY - 1, 3)
    with pytest.raises(TypeError):
        index.search(units(flat_f16._MANY, 1), 3)
