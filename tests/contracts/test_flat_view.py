"""An index that computes its vectors keeps the contract too: each number is the sum of three halves."""

from __future__ import annotations

import numpy as np
import pytest

from continual_dml.testing.vector_index_contract import CHECKS, check_bad_vectors
from storage.index.flat_view import FlatViewIndex
from storage.tensor_files import render_tensors
from tests.storage.viewed import exact_parts


def through_files(parts):
    """The index of ``parts`` as it is opened from its files."""
    contents = [FlatViewIndex.build(parts).to_bytes()]
    for part in parts:
        contents.append(render_tensors({"ids": part.ids, "features": part.features}))
        contents.append(render_tensors({"matrix": part.view.matrix, "offset": part.view.offset}))
    return FlatViewIndex.from_buffers(contents, proven=False)


@pytest.mark.parametrize("births", [1, 3])
@pytest.mark.parametrize(
    "check",
    [check for check in CHECKS if check is not check_bad_vectors],  # it is given no vectors
    ids=lambda check: check.__name__,
)
def test_it_keeps_the_contract(check, births):
    check(lambda ids, vectors: FlatViewIndex.build(exact_parts(ids, vectors, births)))
    check(lambda ids, vectors: through_files(exact_parts(ids, vectors, births)))


def test_some_of_some_items_are_those_of_both():
    random = np.random.default_rng(0)
    ids, vectors = (
        random.permutation(100)[:40].astype(np.int64),
        np.eye(4, dtype=np.float32)[np.arange(40) % 4],
    )
    index = FlatViewIndex.build(exact_parts(ids, vectors, 3))
    found = index.among(ids[::2]).among(ids[::3])
    assert len(found) == 7
    assert sorted(found.search(vectors[:1], 40).ids[0]) == sorted(ids[::6])
