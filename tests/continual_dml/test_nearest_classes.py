"""The classes near a query, by the embedding of each one's mean feature."""

from __future__ import annotations

import numpy as np
import pytest

from continual_dml.workflows.nearest_classes import ClassPrototypes, NearClass


def at(*degrees):
    radians = np.deg2rad(np.array(degrees, dtype=np.float64))
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_the_nearest_class_comes_first_and_of_equal_ones_the_smaller_id():
    prototypes = ClassPrototypes(
        np.array([9, 4, 7]), np.array([5, 3, 8]), np.array([0, 2, 1]), at(60, 60, 180)
    )
    found = prototypes.nearest(at(0)[0], 2)
    assert [one._replace(similarity=0) for one in found] == [NearClass(4, 0, 3, 2), NearClass(9, 0, 5, 0)]
    assert found[0].similarity == pytest.approx(0.5)
    assert [one.category_id for one in prototypes.nearest(at(180)[0], 9)] == [7, 4, 9]
