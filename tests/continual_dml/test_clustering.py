"""NMI against partitions whose information a person can work out."""

from __future__ import annotations

import numpy as np
import pytest

from continual_dml.errors import DimensionMismatch, GalleryError
from continual_dml.metrics import clustering
from continual_dml.metrics.clustering import normalised_mutual_information


def unit_circle(*degrees: float) -> np.ndarray:
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_three_tight_groups_that_are_the_categories_give_one():
    vectors = unit_circle(0, 1, 2, 120, 121, 122, 240, 241, 242)

    assert normalised_mutual_information(vectors, np.repeat([5, 3, 9], 3), seed=0) == pytest.approx(1.0)


def test_clusters_that_say_nothing_about_the_categories_give_zero():
    vectors = unit_circle(0, 1, 180, 181)  # the clusters are the two ends, each with both categories

    assert normalised_mutual_information(vectors, np.array([1, 2, 1, 2]), seed=0) == pytest.approx(
        0.0, abs=1e-9
    )


def test_one_image_in_the_wrong_cluster_costs_what_the_formula_says():
    # Clusters {0, 1, 2 | 3}, categories {0, 1 | 2, 3}. H(categories) = ln 2, H(clusters) = .5623 nats,
    # I = ln 2 - 3/4 H(1/3) = .6931 - .75 * .6365 = .2158; NMI = 2 * .2158 / (.6931 + .5623) = .3438.
    vectors = unit_circle(0, 1, 2, 180)

    assert normalised_mutual_information(vectors, np.array([1, 1, 2, 2]), seed=0) == pytest.approx(
        0.3437, abs=1e-3
    )


def test_many_vectors_are_clustered_in_batches_with_the_same_meaning(monkeypatch):
    monkeypatch.setattr(clustering, "MOST_FOR_LLOYD", 10)
    vectors = unit_circle(*range(10), *range(180, 190))

    assert normalised_mutual_information(vectors, np.repeat([0, 1], 10), seed=3) == pytest.approx(1.0)


def test_the_same_seed_gives_the_same_number_however_large_it_is():
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(60, 4)).astype(np.float32)
    labels = generator.integers(0, 6, size=60)

    first = normalised_mutual_information(vectors, labels, seed=2**40)

    assert normalised_mutual_information(vectors, labels, seed=2**40) == first
    assert 0 < first < 1


def test_a_collapsed_embedding_is_a_result_and_no_warning():
    assert normalised_mutual_information(unit_circle(0, 0, 0, 0), np.array([0, 0, 1, 1]), seed=0) == 0.0


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(DimensionMismatch, match="one label for each"):
        normalised_mutual_information(unit_circle(0, 1), np.array([1]), seed=0)


@pytest.mark.parametrize("vectors", [np.zeros((0, 2), np.float32), np.full((2, 2), np.nan, np.float32)])
def test_nothing_or_nan_cannot_be_clustered(vectors):
    with pytest.raises(GalleryError, match="cannot cluster"):
        normalised_mutual_information(vectors, np.zeros(len(vectors), np.int64), seed=0)
