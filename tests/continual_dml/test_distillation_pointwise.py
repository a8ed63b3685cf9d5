import pytest
import torch

from continual_dml.distillation.pointwise import anchor_loss


def circle(*degrees):
    angles = torch.deg2rad(torch.tensor(degrees, dtype=torch.float32))
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def test_points_on_the_unit_circle_cost_one_minus_the_cosine_of_their_turn():
    # Turned by 60, 90, 180 and 0 degrees: costs 1/2, 1, 2 and 0.
    value = anchor_loss(circle(0, 10, 20, 30), circle(60, 100, 200, 30))
    assert value.item() == pytest.approx(3.5 / 4, abs=1e-6)


def test_an_unmoved_network_costs_nothing():
    assert anchor_loss(circle(0, 90), circle(0, 90)).item() == pytest.approx(0, abs=1e-7)


def test_unlike_relations_a_rotation_costs():
    points = circle(0, 40, 200)
    assert anchor_loss(points @ torch.tensor([[0.0, 1.0], [-1.0, 0.0]]), points).item() == pytest.approx(1)


def test_the_gradient_pulls_towards_the_old_place():
    points = circle(0, 40).requires_grad_()
    old = circle(20, 20)
    anchor_loss(points, old).backward()
    assert torch.allclose(points.grad, -old / 2)


def test_the_gradient_is_that_of_finite_differences():
    new, old = circle(0, 40, 200).double().requires_grad_(), circle(20, 20, 170).double()
    assert torch.autograd.gradcheck(lambda points: anchor_loss(points, old), (new,))


def test_half_precision_embeddings_are_computed_in_single_precision():
    new, old = circle(0, 40).bfloat16(), circle(20, 20).bfloat16()
    value = anchor_loss(new, old)
    assert value.dtype == torch.float32
    assert torch.equal(value, anchor_loss(new.float(), old.float()))
