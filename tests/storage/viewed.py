"""Galleries whose vectors are computed from features, and the same ones with explicit vectors."""

from __future__ import annotations

import numpy as np

from continual_dml.memory.feature_views import FeatureView
from storage.index.flat import FlatIndex
from storage.index.flat_view import FlatViewIndex
from storage.index.viewed_items import ViewedItems, longest_of


def items(ids, features, view):
    """One part, with the norms that a store would keep."""
    return ViewedItems(ids, features, view, view.norms(features), longest_of(features))


def exact_parts(ids, vectors, parts=1):
    """Parts whose computed vectors are ``vectors`` (N, D): each number as the sum of three halves."""
    dimension = vectors.shape[1]
    scales = (1.0, 2.0**-11, 2.0**-22)
    matrix = np.concatenate([scale * np.eye(dimension) for scale in scales], axis=1)
    rest, pieces = vectors.astype(np.float64), []
    for scale in scales:
        pieces.append((rest / scale).astype(np.float16))
        rest = rest - scale * pieces[-1]
    features = np.concatenate(pieces, axis=1)
    view = FeatureView(matrix, np.zeros(dimension))
    return [
        items(ids[rows].copy(), features[rows], view) for rows in np.array_split(np.arange(len(ids)), parts)
    ]


def random_parts(random, births, most, width, dimension, *, scale=1.0, spread=1.0):
    """Parts of several births, each with a map of its own; some features stand in several of them."""
    centre = random.normal(size=width)
    common = centre + spread * random.normal(size=(5, width))
    numbers = random.permutation(10 * births * most)
    parts, used = [], 0
    for _ in range(births):
        count = int(random.integers(0, most)) + 1
        features = (centre + spread * random.normal(size=(count, width))).astype(np.float16)
        chosen = random.random(count) < 0.3
        features[chosen] = common[random.integers(0, 5, size=int(chosen.sum()))].astype(np.float16)
        view = FeatureView(
            scale * random.normal(size=(dimension, width)), scale * random.normal(size=dimension)
        )
        parts.append(items(numbers[used : used + count].astype(np.int64), features, view))
        used += count
    return parts


def explicit(parts):
    """Ids and vectors of ``parts`` as they would have been written."""
    return (
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.view(part.features) for part in parts]),
    )


def reference(ids, vectors, queries, k):
    """The answer by comparing each query with each vector, in float32, the smaller id first on ties."""
    found = []
    for query in queries:
        similarities = np.einsum("nd,d->n", vectors, query)
        order = np.lexsort((ids, -similarities))[:k]
        found.append((ids[order], similarities[order]))
    return tuple(np.stack(one) for one in zip(*found, strict=True))


def both(parts):
    """The same gallery as a view and with explicit vectors."""
    return FlatViewIndex.build(parts), FlatIndex.build(*explicit(parts))
