"""Progressive self-distillation: the target, the divergence from it, and its gradient."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.distillation.self_distillation import psd_target, self_distillation_loss


def circle(*degrees):
    angles = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def random_points(seed, size=7, dimension=4):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(size, dimension, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(points, dim=1)


def slow_relations(points, temperature):
    rows = []
    for a in points.tolist():
        weights = [
            math.exp(sum(x * y for x, y in zip(a, b, strict=True)) / temperature) for b in points.tolist()
        ]
        rows.append([weight / sum(weights) for weight in weights])
    return rows


def slow_loss(student, target, temperature):
    total = 0.0
    for q_row, p_row in zip(target.tolist(), slow_relations(student, temperature), strict=True):
        total += sum(q * (math.log(q) - math.log(p)) for q, p in zip(q_row, p_row, strict=True))
    return temperature**2 * total / len(student)


@pytest.mark.parametrize("temperature", [0.1, 1.0, 4.0])
def test_target_and_loss_are_their_formulas(temperature):
    student, teacher = random_points(0), random_points(1, dimension=9)
    target = psd_target(teacher, temperature)
    assert torch.allclose(target, torch.tensor(slow_relations(teacher, temperature), dtype=torch.float64))
    loss = self_distillation_loss(student, target, temperature)
    assert loss.item() == pytest.approx(slow_loss(student, target, temperature), rel=1e-9)


def test_three_points_on_the_circle_give_the_golden_value():
    # Origin: softmax and divergence of the cosines, evaluated once in 40-digit arithmetic (mpmath 1.3).
    target = psd_target(circle(0, 90, 180), 1.0)
    assert target[0].tolist() == pytest.approx([0.6652409557748219, 0.2447284710547976, 0.0900305731703805])
    loss = self_distillation_loss(circle(0, 60, 180), target, 1.0)
    assert loss.item() == pytest.approx(0.0329288647956846, rel=1e-12)


def test_the_target_comes_first_in_the_divergence():
    student, teacher = random_points(2), random_points(3)
    forward = self_distillation_loss(student, psd_target(teacher, 0.2), 0.2).item()
    backward = self_distillation_loss(teacher, psd_target(student, 0.2), 0.2).item()
    assert forward == pytest.approx(slow_loss(student, psd_target(teacher, 0.2), 0.2), rel=1e-9)
    assert abs(forward - backward) > 1e-3


def test_the_gradient_at_the_similarities_is_student_minus_target():
    # Points along the axes: moving f_i by h changes s_ij by h_j and s_ji by h_j, for every j.
    student, tau = torch.eye(4, dtype=torch.float64).requires_grad_(), 0.5
    target = psd_target(random_points(5, size=4), tau)
    self_distillation_loss(student, target, tau).backward()
    at_similarities = tau * (psd_target(torch.eye(4, dtype=torch.float64), tau) - target) / 4
    assert torch.allclose(student.grad, at_similarities + at_similarities.T)


def test_neither_teacher_nor_target_receives_a_gradient():
    student, teacher = random_points(6).requires_grad_(), random_points(7).requires_grad_()
    target = psd_target(teacher, 1.0)
    assert not target.requires_grad
    movable = target.clone().requires_grad_()
    self_distillation_loss(student, movable, 1.0).backward()
    assert movable.grad is None
    assert student.grad.abs().sum() > 0


def test_the_gradient_is_that_of_finite_differences():
    student, target = random_points(8).requires_grad_(), psd_target(random_points(9), 0.5)
    assert torch.autograd.gradcheck(lambda points: self_distillation_loss(points, target, 0.5), (student,))


def test_a_constant_added_to_every_similarity_changes_nothing():
    # A coordinate of 1 that all images share adds 1 to every entry of every row.
    student, teacher = random_points(10), random_points(11)
    ones = torch.ones(len(student), 1, dtype=torch.float64)
    shifted = torch.cat([teacher, ones], dim=1)
    target = psd_target(teacher, 0.7)
    assert torch.allclose(psd_target(shifted, 0.7), target, atol=1e-12)
    lifted = self_distillation_loss(torch.cat([student, ones], dim=1), target, 0.7)
    assert torch.allclose(lifted, self_distillation_loss(student, target, 0.7), atol=1e-12)


def test_half_precision_is_computed_in_single_precision_also_inside_autocast():
    student, teacher = random_points(12).bfloat16(), random_points(13).bfloat16()
    plain = self_distillation_loss(student.float(), psd_target(teacher.float(), 1.0), 1.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = self_distillation_loss(student, psd_target(teacher, 1.0), 1.0)
    assert value.dtype == torch.float32
    assert torch.equal(value, plain)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), size=st.integers(1, 9), tau=st.sampled_from([0.05, 1.0, 4.0]))
def test_it_is_never_negative_and_zero_for_a_network_that_has_not_moved(seed, size, tau):
    student, teacher = random_points(seed, size), random_points(seed + 1, size)
    target = psd_target(teacher, tau)
    assert torch.allclose(target.sum(dim=1), torch.ones(size, dtype=torch.float64))
    assert self_distillation_loss(student, target, tau).item() >= -1e-12
    assert self_distillation_loss(teacher, target, tau).item() == pytest.approx(0, abs=1e-12)
