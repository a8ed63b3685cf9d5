"""Online batch diffusion: the closed form beside the walk it sums up."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.distillation.batch_diffusion import diffused_target
from continual_dml.distillation.self_distillation import psd_target, self_distillation_loss


def circle(*degrees):
    angles = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def random_points(seed, size=6, dimension=4):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(size, dimension, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(points, dim=1)


def slow_walk(points, temperature, symmetric):
    rows = points.tolist()
    affinities = [
        [math.exp(sum(x * y for x, y in zip(a, b, strict=True)) / temperature) for b in rows] for a in rows
    ]
    for own in range(len(rows)):
        affinities[own][own] = 0.0
    degrees = [sum(row) for row in affinities]
    for i, row in enumerate(affinities):
        for j in range(len(rows)):
            row[j] /= math.sqrt(degrees[i] * degrees[j]) if symmetric else degrees[i]
    return torch.tensor(affinities, dtype=torch.float64)


def slow_target(points, temperature, diffusion, diffusion_temperature, symmetric=False):
    """Add up the walk step by step until what is left of it is below rounding."""
    walk = diffusion * slow_walk(points, diffusion_temperature, symmetric)
    step = (1 - diffusion) * psd_target(points, temperature)
    total = torch.zeros_like(step)
    while step.abs().max() > 1e-18:
        total, step = total + step, walk @ step
    return total / total.sum(dim=1, keepdim=True) if symmetric else total


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize(("diffusion", "tau_d"), [(0.3, 1.0), (0.5, 0.05), (0.9, 0.2), (0.99, 1.0)])
def test_the_closed_form_is_the_sum_of_all_steps_of_the_walk(diffusion, tau_d, symmetric):
    points = random_points(0)
    target = diffused_target(points, 1.0, diffusion, tau_d, symmetric=symmetric)
    assert torch.allclose(target, slow_target(points, 1.0, diffusion, tau_d, symmetric), atol=1e-11, rtol=0)


def test_three_points_on_the_circle_give_the_golden_values():
    # Origin: the formula with an explicit inverse, evaluated once in 40-digit arithmetic (mpmath 1.3).
    teacher, student = circle(0, 90, 180), circle(0, 60, 180)
    target = diffused_target(teacher, 1.0, 0.5, 0.5)
    assert target[0].tolist() == pytest.approx([0.462688993787, 0.346049716034, 0.191261290179], abs=1e-11)
    assert target[1].tolist() == pytest.approx([0.2694583498, 0.4610833004, 0.2694583498], abs=1e-9)
    loss = self_distillation_loss(student, target, 1.0)
    assert loss.item() == pytest.approx(0.1058261694017126, rel=1e-11)
    both_sides = diffused_target(teacher, 1.0, 0.5, 0.5, symmetric=True)
    assert both_sides[0].tolist() == pytest.approx([0.483133035409, 0.327291786361, 0.18957517823], abs=1e-11)
    loss = self_distillation_loss(student, both_sides, 1.0)
    assert loss.item() == pytest.approx(0.1000776912541673, rel=1e-11)


def test_without_diffusion_it_is_the_plain_target_to_the_last_bit():
    for points in (random_points(1), random_points(1).float()):
        assert torch.equal(diffused_target(points, 0.5, 0.0, 1.0), psd_target(points, 0.5))
        both_sides = diffused_target(points, 0.5, 0.0, 1.0, symmetric=True)
        assert torch.allclose(both_sides, psd_target(points, 0.5))


def test_with_full_diffusion_every_image_comes_to_say_nearly_the_same():
    plain = psd_target(random_points(2), 1.0)
    spread = diffused_target(random_points(2), 1.0, 0.9999, 1.0)
    assert spread.std(dim=0).max() < 1e-3 < plain.std(dim=0).min()


def test_relations_are_passed_on_along_a_chain_of_neighbours():
    # 0 and 60 degrees see nothing of each other but through 30; at tau_d = 0.02 the walk goes to neighbours.
    chain = circle(0, 30, 60, 180)
    plain, spread = psd_target(chain, 0.05), diffused_target(chain, 0.05, 0.5, 0.02)
    assert spread[0, 2] > 10 * plain[0, 2]
    assert spread[0, 3] < 1e-3


@pytest.mark.parametrize("symmetric", [False, True])
def test_a_single_image_keeps_its_own_relation(symmetric):
    assert diffused_target(circle(30), 1.0, 0.9, 1.0, symmetric=symmetric).tolist() == [[1.0]]


@pytest.mark.parametrize("symmetric", [False, True])
def test_single_precision_input_at_strong_diffusion_keeps_single_precision_accuracy(symmetric):
    points = random_points(3, size=40, dimension=8).float()
    exact = diffused_target(points.double(), 1.0, 0.99, 1.0, symmetric=symmetric)
    target = diffused_target(points, 1.0, 0.99, 1.0, symmetric=symmetric)
    assert target.dtype == torch.float32
    assert torch.allclose(target.double(), exact, atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize("symmetric", [False, True])
def test_very_small_temperatures_overflow_nothing(symmetric):
    target = diffused_target(circle(0, 1, 90, 180, 181), 0.005, 0.99, 1e-4, symmetric=symmetric)
    assert torch.allclose(target.sum(dim=1), torch.ones(5, dtype=torch.float64))
    assert torch.isfinite(self_distillation_loss(circle(0, 1, 90, 180, 181), target, 0.005))


def test_no_gradient_flows_into_the_teacher_and_half_precision_gives_single():
    teacher = random_points(4).requires_grad_()
    assert not diffused_target(teacher, 1.0, 0.5, 1.0).requires_grad
    low = random_points(4).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = diffused_target(low, 1.0, 0.5, 1.0)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, diffused_target(low.float(), 1.0, 0.5, 1.0))


def test_the_gradient_towards_a_diffused_target_is_that_of_finite_differences():
    student, target = random_points(5).requires_grad_(), diffused_target(random_points(6), 0.5, 0.9, 0.5)
    assert torch.autograd.gradcheck(lambda points: self_distillation_loss(points, target, 0.5), (student,))


def test_an_embedding_that_is_not_a_number_shows_in_the_target():
    points = random_points(7)
    points[2, 1] = float("nan")
    assert diffused_target(points, 1.0, 0.5, 1.0).isnan().any()


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 10_000),
    size=st.integers(1, 9),
    diffusion=st.floats(0.0, 0.9999),
    tau_d=st.floats(0.005, 5.0),
    symmetric=st.booleans(),
)
def test_rows_are_distributions_and_the_order_of_the_batch_does_not_matter(
    seed, size, diffusion, tau_d, symmetric
):
    points = random_points(seed, size)
    target = diffused_target(points, 0.5, diffusion, tau_d, symmetric=symmetric)
    assert target.min() >= 0
    assert torch.allclose(target.sum(dim=1), torch.ones(size, dtype=torch.float64), atol=1e-9)
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    again = diffused_target(points[order], 0.5, diffusion, tau_d, symmetric=symmetric)
    assert torch.allclose(again, target[order][:, order], atol=1e-9)
