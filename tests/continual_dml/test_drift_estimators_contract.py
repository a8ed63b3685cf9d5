"""What holds for every estimator of drift, whatever its idea."""

import numpy as np
import pytest
import torch

from continual_dml.memory.drift_estimators import DEFAULT, ESTIMATORS
from continual_dml.memory.drift_estimators.protocol import DriftEstimator

DIMENSION = 6


@pytest.fixture(params=ESTIMATORS)
def estimator(request: pytest.FixtureRequest) -> DriftEstimator:
    return ESTIMATORS[request.param]


def drawn(
    seed: int, categories: int = 5, each: int = 4, dimension: int = DIMENSION
) -> tuple[np.ndarray, np.ndarray]:
    """Return features around the means of categories, and their labels."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(categories), each) + 10 * seed
    centres = random.normal(size=(categories, dimension))[np.repeat(np.arange(categories), each)]
    return (1.0 + centres + 0.3 * random.normal(size=centres.shape)).astype(np.float32), labels


def moved(features: np.ndarray) -> np.ndarray:
    return np.tanh(features) + 0.2 * np.roll(features, 1, axis=1)


def test_the_default_has_a_name() -> None:
    assert DEFAULT in ESTIMATORS


def test_points_come_back_in_their_shape_in_double_precision_and_finite(estimator: DriftEstimator) -> None:
    before, labels = drawn(0)
    points, owners = drawn(1)
    carried = estimator(before, moved(before), labels)(points, owners)
    assert carried.shape == points.shape
    assert carried.dtype == np.float64
    assert np.isfinite(carried).all()


def test_a_second_fit_says_the_same_and_no_global_generator_is_touched(estimator: DriftEstimator) -> None:
    before, labels = drawn(0)
    points, owners = drawn(1)
    first = estimator(before, moved(before), labels)(points, owners)
    torch.manual_seed(5)
    np.random.seed(5)
    states = torch.get_rng_state(), np.random.get_state()[1].tolist()
    assert np.array_equal(estimator(before, moved(before), labels)(points, owners), first)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.random.get_state()[1].tolist() == states[1]


@pytest.mark.parametrize("dimension", [DIMENSION, 40], ids=["more images than dimensions", "fewer"])
def test_where_nothing_moved_nothing_is_moved(estimator: DriftEstimator, dimension: int) -> None:
    before, labels = drawn(0, dimension=dimension)
    points, owners = drawn(1, dimension=dimension)
    carried = estimator(before, before.copy(), labels)(points, owners)
    np.testing.assert_allclose(carried, points, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name != "identity"])
def test_where_everything_moved_alike_so_does_every_point(name: str) -> None:
    before, labels = drawn(0)
    points, owners = drawn(1)
    shift = np.linspace(-1.0, 1.0, DIMENSION)
    carried = ESTIMATORS[name](before.astype(np.float64), before + shift, labels)(points, owners)
    np.testing.assert_allclose(carried, points + shift, atol=1e-6)


@pytest.mark.parametrize(
    ("categories", "each"), [(1, 5), (1, 1), (2, 1), (5, 4)], ids=["one category", "one image", "two", "few"]
)
def test_far_fewer_images_than_dimensions_are_no_error(
    estimator: DriftEstimator, categories: int, each: int
) -> None:
    before, labels = drawn(0, categories, each, dimension=50)
    points, owners = drawn(1, dimension=50)
    carried = estimator(before, moved(before), labels)(points, owners)
    assert np.isfinite(carried).all()
    assert np.abs(carried - points).max() < 50 * np.abs(moved(before) - before).max()


def test_images_that_all_look_the_same_are_no_error(estimator: DriftEstimator) -> None:
    labels = np.repeat([0, 1], 4)
    same = np.ones((8, 3))
    assert np.isfinite(estimator(same, same + 2.0, labels)(same, labels)).all()


def test_points_are_carried_one_by_one_or_with_their_category_but_not_by_their_order(
    estimator: DriftEstimator,
) -> None:
    before, labels = drawn(0)
    points, owners = drawn(1)
    carry = estimator(before, moved(before), labels)
    order = np.random.default_rng(2).permutation(len(points))
    np.testing.assert_allclose(
        carry(points[order], owners[order]), carry(points, owners)[order], rtol=1e-9, atol=1e-5
    )


def test_what_is_given_stays_as_it_is(estimator: DriftEstimator) -> None:
    before, labels = drawn(0)
    points, owners = drawn(1)
    after = moved(before)
    given = [before, after, labels, points, owners]
    kept = [array.copy() for array in given]
    carried = estimator(before, after, labels)(points, owners)
    carried += 1.0
    assert all(np.array_equal(one, other) for one, other in zip(given, kept, strict=True))


def test_features_as_they_are_stored_can_be_carried(estimator: DriftEstimator) -> None:
    before, labels = drawn(0)
    points, owners = drawn(1)
    half = points.astype(np.float16)
    carry = estimator(before, moved(before), labels)
    np.testing.assert_allclose(carry(half, owners), carry(half.astype(np.float64), owners), rtol=1e-6)


def test_no_points_at_all_are_carried_to_none(estimator: DriftEstimator) -> None:
    before, labels = drawn(0)
    carry = estimator(before, moved(before), labels)
    assert carry(np.zeros((0, DIMENSION)), np.zeros(0, dtype=np.int64)).shape == (0, DIMENSION)


AFFINE = DIMENSION * (DIMENSION + 1)
KEPT = {
    "identity": (0, 0),
    "mean-shift": (DIMENSION, 0),
    "class-means": (AFFINE, 0),
    "linear": (AFFINE, 0),
    "procrustes": (AFFINE, 0),
    "ridge": (AFFINE, 0),
    "sdc": (0, 2 * DIMENSION),
    "class-weights": (DIMENSION, 2 * DIMENSION),
    "local-residual": (AFFINE, 2 * DIMENSION),
    "perceptron": (2 * DIMENSION + 2 * 128 * DIMENSION + 128 + DIMENSION, 0),
}
"""Numbers to keep, whatever the images, and for each image."""


@pytest.mark.parametrize("each", [2, 4])
def test_what_is_kept_grows_with_the_images_only_where_they_are_kept(
    estimator: DriftEstimator, each: int, request: pytest.FixtureRequest
) -> None:
    before, labels = drawn(0, each=each)
    always, for_each = KEPT[request.node.callspec.params["estimator"]]
    assert estimator(before, moved(before), labels).kept == always + for_each * len(before)
