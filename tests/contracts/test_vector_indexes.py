"""Every index of the mapping goes through the contract; a new one is picked up by itself."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.errors import CorruptIndex
from continual_dml.records import Neighbours
from continual_dml.testing.vector_index_contract import CHECKS
from storage.index import INDEXES
from storage.index.recall import measured_recall
from storage.tensor_files import render_tensors, view_tensors
from storage.workspace_file import INDEX_KINDS, PGVECTOR


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", sorted(INDEXES))
def test_an_index_keeps_the_contract(name, check):
    check(INDEXES[name].build)


@pytest.mark.parametrize("check", CHECKS[:8], ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", sorted(INDEXES))
def test_an_index_keeps_the_contract_after_a_way_through_its_file_format(name, check):
    kind = INDEXES[name]
    check(lambda ids, vectors: kind.from_bytes(kind.build(ids, vectors).to_bytes()))


def test_an_index_keeps_the_contract_beside_a_package_that_lets_faiss_take_tensors():
    # The import changes faiss for the whole process; metric-learning packages do it.
    program = """
import faiss.contrib.torch_utils
from continual_dml.testing.vector_index_contract import CHECKS
from storage.index import INDEXES
for kind in INDEXES.values():
    for check in CHECKS:
        check(kind.build)
    for check in CHECKS[:8]:
        check(lambda ids, vectors: kind.from_bytes(kind.build(ids, vectors).to_bytes()))
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("name", sorted(INDEXES))
def test_an_index_that_can_leave_items_out_answers_as_one_that_never_held_them(name):
    random = np.random.default_rng(4)
    ids, vectors = random.permutation(500)[:90].astype(np.int64), random.normal(size=(90, 4))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    whole = INDEXES[name].build(ids, vectors)
    first = whole.without(ids[:5])
    assert whole.thins == (first is not None)
    if first is None:
        assert name != "hnsw"
        return
    thinned = first.without(np.append(ids[3:60:2], 1000))  # some are gone already, and nothing has that id
    left = np.setdiff1d(np.arange(90), [*range(5), *range(3, 60, 2)])
    plain = INDEXES[name].build(ids[left], vectors[left])
    assert np.array_equal(thinned.ids, ids[left])
    assert np.array_equal(thinned.removed, np.setdiff1d(ids, ids[left]))
    for few in (1, 7, 100):
        assert np.array_equal(thinned.search(vectors, few).ids, plain.search(vectors, few).ids)
    among = ids[::3]
    assert np.array_equal(
        thinned.among(among).search(vectors, 5).ids, plain.among(among).search(vectors, 5).ids
    )
    assert len(whole) == 90


@pytest.mark.parametrize("name", sorted(INDEXES))
def test_bytes_that_are_no_index_are_refused(name):
    kind = INDEXES[name]
    for content in (b"", b"IxF2", b"\x00" * 64, b"x" * 1000):
        with pytest.raises(CorruptIndex):
            kind.from_bytes(content)


def test_a_faiss_index_of_another_kind_is_refused():
    import faiss

    content = bytes(faiss.serialize_index(faiss.IndexFlatL2(2)).tobytes())
    with pytest.raises(CorruptIndex):
        INDEXES["faiss-flat"].from_bytes(content)


def test_a_faiss_index_with_equal_ids_is_refused_on_opening():
    import faiss

    index = faiss.IndexIDMap2(faiss.IndexFlatIP(2))
    index.add_with_ids(np.eye(2, dtype=np.float32), np.array([3, 3]))
    with pytest.raises(CorruptIndex, match="stands twice"):
        INDEXES["faiss-flat"].from_bytes(bytes(faiss.serialize_index(index).tobytes()))


def test_every_index_that_a_user_can_choose_is_there_and_the_default_is_exact():
    assert set(INDEX_KINDS) < {*INDEXES, PGVECTOR}
    assert INDEXES[INDEX_KINDS[0]].exact


@pytest.mark.parametrize("name", ["hnsw", "ivf", "ivf-pq"])
def test_an_approximate_index_misses_little_and_says_how_much(name):
    random = np.random.default_rng(0)
    centres = random.normal(size=(50, 16))
    vectors = centres[random.integers(0, 50, size=3000)] + 0.5 * random.normal(size=(3000, 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    ids = random.permutation(100_000)[:3000].astype(np.int64)
    index = INDEXES[name].build(ids, vectors)
    found, best = (
        kind.search(vectors[::10], 10).ids for kind in (index, INDEXES["numpy-exact"].build(ids, vectors))
    )
    recall = np.mean([len(set(one) & set(other)) / 10 for one, other in zip(found, best, strict=True)])
    assert recall > 0.95
    assert measured_recall(index, ids, vectors) == pytest.approx(recall, abs=0.02)


def test_recall_counts_what_is_missed():
    class Worse(INDEXES["flat"]):
        def search(self, queries, k):
            found = super().search(queries, k + 1)
            return Neighbours(found.ids[:, 1:], found.similarities[:, 1:])  # never the best one

    vectors = np.random.default_rng(0).normal(size=(30, 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    ids = np.arange(30, dtype=np.int64)
    assert measured_recall(INDEXES["flat"].build(ids, vectors), ids, vectors) == 1.0
    assert measured_recall(Worse.build(ids, vectors), ids, vectors) == pytest.approx(0.9)
    assert measured_recall(INDEXES["flat"].build(ids[:0], vectors[:0]), ids[:0], vectors[:0]) is None


@pytest.mark.parametrize("name", ["flat", "flat-f16", "faiss-flat"])
@settings(max_examples=40, deadline=None)
@given(items=st.integers(1, 40), k=st.integers(1, 50), seed=st.integers(0, 2**32 - 1))
def test_a_fast_index_answers_as_the_exact_reference(name, items, k, seed):
    random = np.random.default_rng(seed)
    vectors = np.eye(4, dtype=np.float32)[random.integers(0, 4, size=items)]  # many exact ties
    ids = random.permutation(10 * items)[:items].astype(np.int64)
    queries = np.eye(4, dtype=np.float32)
    fast = INDEXES[name].build(ids, vectors).search(queries, k)
    slow = INDEXES["numpy-exact"].build(ids, vectors).search(queries, k)
    assert np.array_equal(fast.ids, slow.ids)
    assert np.array_equal(fast.similarities, slow.similarities)


@settings(max_examples=30, deadline=None)
@given(
    spread=st.sampled_from([1.0, 1e-2, 1e-3, 1e-4, 1e-6]),
    k=st.integers(1, 30),
    seed=st.integers(0, 2**32 - 1),
)
def test_sixteen_bits_choose_the_candidates_and_never_the_answer(spread, k, seed):
    # The closer the vectors, the more of them are alike in 16 bits: all of those have to be compared again.
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(1, 12)) + spread * random.normal(size=(400, 12))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    ids, queries = np.arange(400, dtype=np.int64), vectors[::40]
    found = INDEXES["flat-f16"].build(ids, vectors).search(queries, k)
    true = vectors[::40].astype(np.float64) @ vectors.T.astype(np.float64)
    best = -np.sort(-true, axis=1)[:, :k]
    assert np.allclose(np.take_along_axis(true, found.ids, axis=1), best, rtol=0, atol=3e-7)
    assert np.allclose(found.similarities, best, rtol=0, atol=3e-7)


def test_a_query_far_from_unit_length_gets_the_exact_answer_in_two_steps_as_well():
    random = np.random.default_rng(3)
    vectors = random.normal(size=(1, 12)) + 1e-3 * random.normal(size=(500, 12))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    ids = np.arange(500, dtype=np.int64)
    queries = 1000 * random.normal(size=(5, 12)).astype(np.float32)
    fast, slow = (
        INDEXES[name].build(ids, vectors).search(queries, 20) for name in ("flat-f16", "numpy-exact")
    )
    assert np.allclose(fast.similarities, slow.similarities, rtol=1e-5)


def test_product_codes_of_other_vectors_are_refused():
    vectors = np.eye(4, dtype=np.float32)
    kind, ids = INDEXES["ivf-pq"], np.arange(8, dtype=np.int64)
    others = view_tensors(kind.build(ids, np.tile(vectors, (2, 1))).to_bytes(), "others")
    with pytest.raises(CorruptIndex, match="codes"):
        kind.from_bytes(render_tensors({"ids": ids[:4], "vectors": vectors, "codes": others["codes"]}))
