"""What every ``continual_dml.ports.VectorIndex`` must do, as checks to put any implementation through.

Each check takes a function that builds an index from ids (N,) int64 and unit vectors (N, D) float32, and
raises ``AssertionError`` with what was broken. Vectors with coordinates 0 and 1 have exact similarities, so
ties are real ties.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import CdmlError, DimensionMismatch, GalleryError
from continual_dml.ports import VectorIndex

BuildIndex = Callable[["NDArray[np.int64]", "NDArray[np.float32]"], VectorIndex]


def check_best_first(build: BuildIndex) -> None:
    """Neighbours come best first, with their cosine as similarity."""
    index = build(_ids(10, 20, 30), _on_circle(0, 90, 180))
    found = index.search(_on_circle(10), 3)
    _equal(found.ids, [[10, 20, 30]], "order of neighbours")
    expected = np.cos(np.radians([[10.0, 80.0, 170.0]]))
    _expect(np.allclose(found.similarities, expected, atol=1e-6), f"similarities are {found.similarities}")
    _expect(found.ids.dtype == np.int64, "ids are not int64")
    _expect(found.similarities.dtype == np.float32, "similarities are not float32")


def check_ids_are_kept(build: BuildIndex) -> None:
    """Ids are the caller's own, in any order and far beyond 32 bits."""
    index = build(_ids(2**40, 7, 2**62), _on_circle(0, 90, 180))
    _equal(index.search(_on_circle(0, 90, 180), 1).ids, [[2**40], [7], [2**62]], "ids")


def check_no_padding(build: BuildIndex) -> None:
    """More neighbours than items are asked for: as many as there are come back, none made up."""
    index = build(_ids(5, 6), _on_circle(0, 90))
    _equal(index.search(_on_circle(0), 10).ids, [[5, 6]], "neighbours beyond the gallery's size")


def check_empty(build: BuildIndex) -> None:
    """An empty index, no queries, or k = 0 give empty answers of the right shape."""
    empty = build(np.empty(0, dtype=np.int64), np.empty((0, 2), dtype=np.float32))
    _expect((len(empty), empty.dimension) == (0, 2), "size or dimension of an empty index")
    _expect(empty.search(_on_circle(0, 90), 3).ids.shape == (2, 0), "shape of an answer of an empty index")
    index = build(_ids(1, 2), _on_circle(0, 90))
    _expect(index.search(_on_circle(), 1).ids.shape == (0, 1), "shape of an answer to no queries")
    _expect(index.search(_on_circle(0), 0).similarities.shape == (1, 0), "shape of an answer for k = 0")


def check_ties(build: BuildIndex) -> None:
    """Of equally similar items the smaller id comes first, also across the border of the answer."""
    ids = np.arange(100, 60, -1, dtype=np.int64)  # falling, so that insertion order would be wrong
    vectors = np.tile(np.eye(2, dtype=np.float32)[:1], (40, 1))
    vectors[::2] = [0.0, 1.0]
    index = build(ids, vectors)
    queries = np.eye(2, dtype=np.float32)
    expected = [sorted(ids[1::2])[:5], sorted(ids[::2])[:5]]
    _equal(index.search(queries, 5).ids, expected, "order of equally similar items")


def check_against_loop(build: BuildIndex) -> None:
    """The answer equals that of an explicit loop over all pairs."""
    random = np.random.default_rng(0)
    vectors = _units(random.normal(size=(57, 6)))
    queries = _units(random.normal(size=(23, 6)))  # more than 20 queries take another path in faiss
    ids = random.permutation(1000)[:57].astype(np.int64)
    found = build(ids, vectors).search(queries, 9)
    for row, query in enumerate(queries):
        ranked = sorted(
            (-float(np.dot(query, vector)), int(item)) for item, vector in zip(ids, vectors, strict=True)
        )
        _equal(found.ids[row], [item for _, item in ranked[:9]], f"neighbours of query {row}")


def check_one_by_one(build: BuildIndex) -> None:
    """A query's neighbours do not depend on the queries beside it."""
    random = np.random.default_rng(1)
    index = build(np.arange(1, 81, dtype=np.int64), _units(random.normal(size=(80, 5))))
    queries = _units(random.normal(size=(30, 5)))
    single = [index.search(query[None], 4).ids[0] for query in queries]
    _equal(index.search(queries, 4).ids, single, "neighbours of queries asked one by one")


def check_among(build: BuildIndex) -> None:
    """Restricted to some items, all of them are found and no other, however far away they are."""
    random = np.random.default_rng(2)
    ids, vectors = random.permutation(500)[:90].astype(np.int64), _units(random.normal(size=(90, 4)))
    index, queries = build(ids, vectors), _units(random.normal(size=(25, 4)))
    for kept in (ids[:1], ids[:7][::-1], ids[::2], ids):
        rows = np.isin(ids, kept)
        expected = build(ids[rows], vectors[rows]).search(queries, 5)
        found = index.among(np.append(kept, 1000)).search(queries, 5)  # no item has that id
        _equal(found.ids, expected.ids, f"neighbours among {len(kept)} items")
        _expect(found.ids.shape[1] == min(5, len(kept)), "fewer neighbours than match")
    nothing = index.among(np.empty(0, dtype=np.int64))
    _expect((len(nothing), nothing.search(queries, 5).ids.shape) == (0, (25, 0)), "an index of no items")


def check_refusals(build: BuildIndex) -> None:
    """Wrong dimension, values that are not finite and negative k are refused with cdml's own errors."""
    index = build(_ids(1, 2), _on_circle(0, 90))
    _refuses(DimensionMismatch, lambda: index.search(np.ones((1, 3), dtype=np.float32), 1))
    _refuses(DimensionMismatch, lambda: index.search(np.ones(2, dtype=np.float32), 1))
    _refuses(GalleryError, lambda: index.search(np.full((1, 2), np.nan, dtype=np.float32), 1))
    _refuses(GalleryError, lambda: index.search(_on_circle(0), -1))


def check_bad_vectors(build: BuildIndex) -> None:
    """Equal ids and vectors that are not finite, not of unit length or of another type are refused."""
    _refuses(GalleryError, lambda: build(_ids(1, 1), _on_circle(0, 90)))
    _refuses(GalleryError, lambda: build(_ids(1), np.array([[np.nan, 1.0]], dtype=np.float32)))
    _refuses(GalleryError, lambda: build(_ids(1), np.array([[3.0, 4.0]], dtype=np.float32)))
    _refuses(GalleryError, lambda: build(_ids(1, 2), _on_circle(0)))
    _refuses(GalleryError, lambda: build(_ids(1), _on_circle(0).astype(np.float64)))


def check_input_is_copied(build: BuildIndex) -> None:
    """Changing the caller's arrays afterwards changes nothing."""
    ids, vectors = _ids(1, 2), _on_circle(0, 90)
    index = build(ids, vectors)
    ids += 5
    vectors[:] = vectors[::-1].copy()
    _equal(index.search(_on_circle(0), 1).ids, [[1]], "neighbour after the caller's arrays changed")


CHECKS: tuple[Callable[[BuildIndex], None], ...] = (
    check_best_first,
    check_ids_are_kept,
    check_no_padding,
    check_empty,
    check_ties,
    check_against_loop,
    check_one_by_one,
    check_among,
    check_refusals,
    check_bad_vectors,
    check_input_is_copied,
)


def _ids(*values: int) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def _on_circle(*degrees: float) -> NDArray[np.float32]:
    angles = np.radians(np.array(degrees, dtype=np.float64))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def _units(values: NDArray[np.float64]) -> NDArray[np.float32]:
    units: NDArray[np.float32] = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)
    return units


def _expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise AssertionError(otherwise)


def _equal(found: object, expected: object, what: str) -> None:
    _expect(np.array_equal(np.asarray(found), np.asarray(expected)), f"{what}: {found} instead of {expected}")


def _refuses(kind: type[CdmlError], action: Callable[[], object]) -> None:
    try:
        action()
    except kind:
        return
    raise AssertionError(f"no {kind.__name__} was raised")
