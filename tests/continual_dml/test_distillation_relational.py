import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.distillation.relational import relation_loss


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


def slow_relation_loss(first, second, temperature):
    p_first, p_second = slow_relations(first, temperature), slow_relations(second, temperature)
    total = 0.0
    for row_a, row_b in zip(p_first, p_second, strict=True):
        total += sum(a * math.log(a / b) for a, b in zip(row_a, row_b, strict=True))
    return temperature**2 / len(first) * total


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("temperature", [0.2, 1.0, 4.0])
def test_the_loss_is_its_formula_with_the_student_first(seed, temperature):
    student, teacher = random_points(seed), random_points(seed + 100, dimension=9)
    expected = slow_relation_loss(student, teacher, temperature)
    assert relation_loss(student, teacher, temperature).item() == pytest.approx(expected, rel=1e-9)


def test_the_direction_is_from_student_to_teacher():
    student, teacher = random_points(1), random_points(2)
    forward = relation_loss(student, teacher, 0.2).item()
    assert forward == pytest.approx(slow_relation_loss(student, teacher, 0.2), rel=1e-9)
    assert abs(forward - relation_loss(teacher, student, 0.2).item()) > 1e-3


def test_the_temperature_is_four_by_default():
    student, teacher = random_points(1), random_points(2)
    assert relation_loss(student, teacher).item() == relation_loss(student, teacher, 4.0).item()


def test_the_loss_agrees_with_the_divergence_that_torch_computes():
    student, teacher = random_points(3).float(), random_points(4).float()
    log_student = torch.log_softmax(student @ student.T / 4, dim=1)
    log_teacher = torch.log_softmax(teacher @ teacher.T / 4, dim=1)
    expected = torch.nn.functional.kl_div(log_teacher, log_student, reduction="batchmean", log_target=True)
    assert relation_loss(student, teacher).item() == pytest.approx(16 * expected.item(), rel=1e-4)


def test_three_points_on_the_circle_give_the_golden_value():
    # Origin: softmax of cosines / 4 and 16 times the divergence, once in 40-digit arithmetic (mpmath 1.3).
    angles = torch.deg2rad(torch.tensor([[0.0, 60.0, 180.0], [0.0, 90.0, 180.0]], dtype=torch.float64))
    student, teacher = torch.stack([angles.cos(), angles.sin()], dim=2)
    assert relation_loss(student, teacher).item() == pytest.approx(0.0435954851360886, rel=1e-12)


def test_a_constant_added_to_every_similarity_changes_nothing():
    # A coordinate of 2 that all images share adds 4 to every entry of every row.
    student, teacher = random_points(1), random_points(2)
    twos = torch.full((len(student), 1), 2.0, dtype=torch.float64)
    value = relation_loss(student, teacher)
    assert torch.allclose(relation_loss(torch.cat([student, twos], dim=1), teacher), value, atol=1e-12)
    assert torch.allclose(relation_loss(student, torch.cat([teacher, twos], dim=1)), value, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("size", "dimension"), [(16, 8), (48, 64), (80, 512)])
def test_at_temperature_four_it_is_about_half_the_row_variance_of_the_difference(seed, size, dimension):
    student = random_points(seed, size, dimension)
    teacher = random_points(seed + 100, size, dimension)
    difference = student @ student.T - teacher @ teacher.T
    half_variance = difference.var(dim=1, unbiased=False).mean().item() / 2
    assert 0.9 < relation_loss(student, teacher, 4.0).item() / half_variance < 1.2


def test_at_high_temperature_it_is_half_the_row_variance_of_the_difference():
    student, teacher = random_points(5, size=40), random_points(6, size=40)
    difference = student @ student.T - teacher @ teacher.T
    half_variance = difference.var(dim=1, unbiased=False).mean().item() / 2
    assert relation_loss(student, teacher, 100.0).item() == pytest.approx(half_variance, rel=0.02)


def test_both_sides_receive_a_gradient_because_nothing_is_detached():
    student, teacher = random_points(7).requires_grad_(), random_points(8).requires_grad_()
    relation_loss(student, teacher).backward()
    assert student.grad.abs().sum() > 0
    assert teacher.grad.abs().sum() > 0


def test_the_gradient_is_that_of_finite_differences():
    student, teacher = random_points(7).requires_grad_(), random_points(8).requires_grad_()
    assert torch.autograd.gradcheck(relation_loss, (student, teacher))


def test_half_precision_embeddings_are_computed_in_single_precision():
    student, teacher = random_points(9).bfloat16(), random_points(10).bfloat16()
    value = relation_loss(student, teacher)
    assert value.dtype == torch.float32
    assert torch.equal(value, relation_loss(student.float(), teacher.float()))


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), size=st.integers(1, 9), temperature=st.sampled_from([0.1, 1.0, 4.0]))
def test_it_is_never_negative_and_zero_for_a_network_against_itself(seed, size, temperature):
    student, teacher = random_points(seed, size), random_points(seed + 1, size)
    assert relation_loss(student, teacher, temperature).item() >= -1e-12
    assert relation_loss(student, student, temperature).item() == 0


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_neither_a_rotation_nor_the_order_of_the_batch_matters(seed):
    student, teacher = random_points(seed), random_points(seed + 1)
    generator = torch.Generator().manual_seed(seed)
    rotation = torch.linalg.qr(torch.randn(4, 4, generator=generator, dtype=torch.float64))[0]
    order = torch.randperm(len(student), generator=generator)
    value = relation_loss(student, teacher)
    assert torch.allclose(value, relation_loss(student @ rotation, teacher), atol=1e-12)
    assert torch.allclose(value, relation_loss(student[order], teacher[order]), atol=1e-12)
