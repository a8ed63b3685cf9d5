"""Maximum mean discrepancy between new and old embeddings, against loops over pairs."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.distillation.discrepancy import feature_discrepancy
from continual_dml.errors import SettingsError


def circle(*degrees):
    angles = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def random_points(seed, size=6, dimension=4):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(size, dimension, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(points, dim=1)


def slow_mean_kernel(first, second, bandwidth):
    values = [
        math.exp(-(math.dist(a, b) ** 2) / (2 * bandwidth**2))
        for a in first.tolist()
        for b in second.tolist()
    ]
    return sum(values) / len(values)


def slow_discrepancy(first, second, bandwidth):
    own = slow_mean_kernel(first, first, bandwidth) + slow_mean_kernel(second, second, bandwidth)
    return own - 2 * slow_mean_kernel(first, second, bandwidth)


@pytest.mark.parametrize("bandwidth", [0.2, 0.5, 2.0])
def test_it_is_its_formula_also_for_sets_of_different_size(bandwidth):
    new, old = random_points(0), random_points(1, size=9)
    expected = slow_discrepancy(new, old, bandwidth)
    assert feature_discrepancy(new, old, bandwidth).item() == pytest.approx(expected, rel=1e-9)


def test_three_points_on_the_circle_give_the_golden_value():
    # Origin: the three means of the kernel, evaluated once in 40-digit arithmetic (mpmath 1.3).
    value = feature_discrepancy(circle(0, 60, 180), circle(0, 90, 180), bandwidth=0.5)
    assert value.item() == pytest.approx(0.0921903622233403, rel=1e-12)


def test_the_bandwidth_is_the_median_distance_by_default():
    # Chords between 0, 60, 180 and 0, 90, 180 in order: 0 0 .52 1 1 then four times sqrt 2: the eighth of 15.
    new, old = circle(0, 60, 180), circle(0, 90, 180)
    expected = slow_discrepancy(new, old, math.sqrt(2))
    assert feature_discrepancy(new, old).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("bandwidth", [0.3, 1.0])
def test_the_gradient_is_that_of_finite_differences(bandwidth):
    new, old = random_points(2).requires_grad_(), random_points(3)
    assert torch.autograd.gradcheck(lambda points: feature_discrepancy(points, old, bandwidth), (new,))


def test_neither_the_old_set_nor_the_median_receives_a_gradient():
    new, old = random_points(4).requires_grad_(), random_points(5).requires_grad_()
    feature_discrepancy(new, old).backward()
    by_median, new.grad = new.grad, None
    both = torch.cat([new, old]).detach()
    feature_discrepancy(new, old, torch.pdist(both).median().item()).backward()
    assert torch.allclose(by_median, new.grad)
    assert old.grad is None


def test_which_image_lies_where_does_not_matter():
    new, old = random_points(6), random_points(7)
    assert torch.allclose(feature_discrepancy(new.flip(0), old), feature_discrepancy(new, old))
    assert feature_discrepancy(new.flip(0), new).item() == pytest.approx(0, abs=1e-12)


def test_a_step_against_the_gradient_brings_the_sets_together():
    new, old = circle(80, 90, 100).requires_grad_(), circle(-10, 0, 10)
    value = feature_discrepancy(new, old, bandwidth=1.0)
    value.backward()
    moved = torch.nn.functional.normalize(new.detach() - 0.5 * new.grad, dim=1)
    assert feature_discrepancy(moved, old, bandwidth=1.0) < value


def test_collapsed_sets_stay_finite():
    for new, old in ((circle(0, 0), circle(0, 0)), (circle(0, 0, 0), circle(90, 90, 90))):
        points = new.float().requires_grad_()
        value = feature_discrepancy(points, old.float())
        value.backward()
        assert torch.isfinite(value)
        assert torch.isfinite(points.grad).all()


def test_a_bandwidth_of_zero_is_refused():
    with pytest.raises(SettingsError, match="bandwidth is 0"):
        feature_discrepancy(circle(0, 1), circle(0, 1), bandwidth=0.0)


def test_half_precision_is_computed_in_single_precision_also_inside_autocast():
    new, old = random_points(8).bfloat16(), random_points(9).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = feature_discrepancy(new, old)
    assert value.dtype == torch.float32
    assert torch.equal(value, feature_discrepancy(new.float(), old.float()))


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), sizes=st.tuples(st.integers(1, 7), st.integers(1, 7)))
def test_it_is_symmetric_never_negative_and_zero_for_identical_sets(seed, sizes):
    new, old = random_points(seed, sizes[0]), random_points(seed + 1, sizes[1])
    value = feature_discrepancy(new, old)
    assert value.item() >= -1e-12
    assert torch.allclose(value, feature_discrepancy(old, new), atol=1e-12)
    assert feature_discrepancy(new, new).item() == pytest.approx(0, abs=1e-12)
