"""Soft labels: posteriors over the old classes stay what the old model said."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.distillation.soft_labels import COSINE_SCALE, soft_label_loss


def circle(*degrees):
    angles = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def random_points(seed, size=6, dimension=4):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(size, dimension, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(points, dim=1)


def slow_posterior(point, means, temperature):
    weights = []
    for mean in means.tolist():
        cosine = sum(x * y for x, y in zip(point, mean, strict=True)) / math.hypot(*mean)
        weights.append(math.exp(COSINE_SCALE * cosine / temperature))
    return [weight / sum(weights) for weight in weights]


def slow_loss(new, old, means, temperature):
    total = 0.0
    for new_point, old_point in zip(new.tolist(), old.tolist(), strict=True):
        p = slow_posterior(new_point, means, temperature)
        q = slow_posterior(old_point, means, temperature)
        total += sum(b * math.log(b / a) for a, b in zip(p, q, strict=True))
    return temperature**2 * total / len(new)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_the_loss_is_its_formula_for_means_of_any_length(temperature):
    new, old, means = random_points(0), random_points(1), 3.5 * random_points(2, size=3)
    expected = slow_loss(new, old, means, temperature)
    assert soft_label_loss(new, old, means, temperature).item() == pytest.approx(expected, rel=1e-9)


def test_three_images_and_two_classes_on_the_circle_give_the_golden_value():
    # Origin: logits 8 cos at T = 2, their softmax and divergence, once in 40-digit arithmetic (mpmath 1.3).
    value = soft_label_loss(circle(0, 60, 180), circle(0, 90, 180), circle(0, 90))
    assert value.item() == pytest.approx(0.0667668517753573, rel=1e-12)


def test_the_gradient_is_that_of_the_cross_entropy_and_of_finite_differences():
    new, old, means = random_points(3).requires_grad_(), random_points(4), random_points(5, size=3)
    assert torch.autograd.gradcheck(lambda points: soft_label_loss(points, old, means), (new,))
    soft_label_loss(new, old, means).backward()
    divergence, new.grad = new.grad, None
    targets = torch.softmax(8 * old @ means.T, dim=1)
    (4 * torch.nn.functional.cross_entropy(8 * new @ means.T, targets)).backward()
    assert torch.allclose(divergence, new.grad)


def test_old_embeddings_and_means_receive_no_gradient():
    new, old, means = (random_points(seed).requires_grad_() for seed in (6, 7, 8))
    soft_label_loss(new, old, means).backward()
    assert new.grad.abs().sum() > 0
    assert old.grad is None
    assert means.grad is None


def test_a_constant_added_to_every_cosine_of_a_row_changes_nothing():
    # A coordinate that all means share adds to each image's row a constant of its own.
    new, old, means = random_points(9), random_points(10), random_points(11, size=3)
    ones = torch.ones(3, 1, dtype=torch.float64)
    longer = torch.cat([means, ones], dim=1) / math.sqrt(2)
    own_constants = torch.linspace(-1, 1, 6, dtype=torch.float64)[:, None]
    shifted = soft_label_loss(
        torch.cat([new, own_constants], dim=1) * math.sqrt(2),
        torch.cat([old, -own_constants], dim=1) * math.sqrt(2),
        longer,
    )
    assert torch.allclose(shifted, soft_label_loss(new, old, means), atol=1e-9)


def test_one_old_class_leaves_nothing_to_confuse():
    assert soft_label_loss(circle(0, 50), circle(80, 10), circle(30)).item() == 0


def test_half_precision_is_computed_in_single_precision_also_inside_autocast():
    new, old, means = (random_points(seed).bfloat16() for seed in (12, 13, 14))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = soft_label_loss(new, old, means)
    assert value.dtype == torch.float32
    assert torch.equal(value, soft_label_loss(new.float(), old.float(), means.float()))


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), size=st.integers(1, 6), classes=st.integers(1, 5))
def test_it_is_never_negative_and_zero_where_nothing_moved(seed, size, classes):
    new, old = random_points(seed, size), random_points(seed + 1, size)
    means = random_points(seed + 2, classes)
    assert soft_label_loss(new, old, means).item() >= -1e-12
    assert soft_label_loss(old, old, means).item() == pytest.approx(0, abs=1e-12)
