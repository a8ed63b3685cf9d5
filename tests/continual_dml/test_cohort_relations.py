"""Relational transfer between members of a cohort, against a loop over pairs of images."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.distillation.cohort_relations import relational_transfer
from continual_dml.errors import UnknownChoice
from continual_dml.settings import COHORT_PENALTIES, COHORT_RELATIONS

VARIANTS = [
    (relation, penalty, normalised)
    for relation in COHORT_RELATIONS
    for penalty in COHORT_PENALTIES
    for normalised in (False, True)
]


def circle(*degrees):
    angles = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def random_points(seed, size=6, dimension=4):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(size, dimension, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(points, dim=1)


def slow_relations(points, relation, normalised):
    rows, values = points.tolist(), {}
    for i, a in enumerate(rows):
        for j, b in enumerate(rows):
            if i != j:
                values[i, j] = (
                    math.dist(a, b)
                    if relation == "distance"
                    else sum(x * y for x, y in zip(a, b, strict=True))
                )
    mean = sum(values.values()) / len(values)
    divisor = mean if normalised and relation == "distance" else 1.0
    return {pair: value / divisor for pair, value in values.items()}


def slow_penalty(difference, penalty):
    size = abs(difference)
    if penalty == "l1":
        return size
    if penalty == "l2":
        return size * size
    return size * size / 2 if size <= 1 else size - 0.5


@pytest.mark.parametrize(("relation", "penalty", "normalised"), VARIANTS)
def test_every_variant_is_its_formula_also_between_different_dimensions(relation, penalty, normalised):
    student, peer = random_points(0), random_points(1, dimension=9)
    own, theirs = (slow_relations(points, relation, normalised) for points in (student, peer))
    expected = sum(slow_penalty(own[pair] - theirs[pair], penalty) for pair in own) / len(own)
    value = relational_transfer(student, peer, relation=relation, penalty=penalty, mean_normalised=normalised)
    assert value.item() == pytest.approx(expected, rel=1e-9)


def test_chords_of_the_circle_give_the_golden_values():
    # Origin: by hand, chord = 2 sin(angle / 2). Student 0, 60, 180: 1, sqrt 3, 2. Peer 0, 180, 180: 2, 0, 2.
    student, peer, root = circle(0, 60, 180), circle(0, 180, 180), math.sqrt(3)
    value = relational_transfer(student, peer, penalty="l1")  # |1 - 2|, |sqrt 3 - 0|, |2 - 2|
    assert value.item() == pytest.approx((1 + root) / 3)
    assert relational_transfer(student, peer, penalty="l2").item() == pytest.approx(4 / 3)
    assert relational_transfer(student, peer).item() == pytest.approx((0.5 + root - 0.5) / 3)
    # Cosines 1/2, -1/2, -1 against -1, 1, -1: differences 3/2, -3/2, 0.
    assert relational_transfer(student, peer, relation="cosine", penalty="l1").item() == pytest.approx(1.0)
    mean = (3 + root) / 3  # and 4/3 of the peer
    by_hand = abs(1 / mean - 1.5) + root / mean + abs(2 / mean - 1.5)
    normalised = relational_transfer(student, peer, penalty="l1", mean_normalised=True)
    assert normalised.item() == pytest.approx(by_hand / 3)


@pytest.mark.parametrize(("relation", "penalty", "normalised"), VARIANTS)
def test_the_gradient_is_that_of_finite_differences_and_the_peer_gets_none(relation, penalty, normalised):
    student, peer = random_points(2).requires_grad_(), random_points(3).requires_grad_()

    def transfer(points):
        return relational_transfer(
            points, peer, relation=relation, penalty=penalty, mean_normalised=normalised
        )

    assert torch.autograd.gradcheck(transfer, (student,))
    transfer(student).backward()
    assert peer.grad is None


@pytest.mark.parametrize(("relation", "penalty", "normalised"), VARIANTS)
def test_identical_points_have_a_finite_gradient(relation, penalty, normalised):
    for dtype in (torch.float32, torch.float64):
        for student in (circle(0, 0, 90), circle(30, 30, 30)):
            points = student.to(dtype).requires_grad_()
            value = relational_transfer(
                points, circle(0, 40, 80), relation=relation, penalty=penalty, mean_normalised=normalised
            )
            value.backward()
            assert torch.isfinite(value)
            assert torch.isfinite(points.grad).all()


def test_nearly_identical_points_keep_their_distance_in_single_precision():
    # The chord is 1e-4; from float32 cosines it would come out as 0 or as 3e-4.
    student = torch.tensor([[1.0, 0.0], [math.cos(1e-4), math.sin(1e-4)]])
    collapsed = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert relational_transfer(student, collapsed, penalty="l1").item() == pytest.approx(1e-4, rel=1e-3)


def test_the_gradient_pulls_pairs_to_the_distance_that_the_peer_sees():
    student = circle(0, 60).requires_grad_()
    relational_transfer(student, circle(0, 120)).backward()
    apart = (student[1] - student[0]).detach()
    assert (student.grad[1] @ apart).item() < 0, "a step against the gradient moves the two apart"


def test_the_diagonal_does_not_dilute_the_mean():
    student, peer = circle(0, 60), circle(0, 180)
    assert relational_transfer(student, peer, penalty="l1").item() == pytest.approx(1.0)


def test_only_proportions_count_when_distances_are_divided_by_their_mean():
    narrow, wide = circle(0, 10, 5), circle(0, 10, 5)[:, [1, 0]] * 7  # the same triangle, 7 times as large
    assert relational_transfer(narrow, wide, penalty="l1").item() > 0.1
    value = relational_transfer(narrow, wide, penalty="l1", mean_normalised=True)
    assert value.item() == pytest.approx(0, abs=1e-12)


def test_a_single_image_has_no_relations_and_costs_nothing():
    student = circle(20).requires_grad_()
    value = relational_transfer(student, circle(70))
    value.backward()
    assert value.item() == 0
    assert torch.equal(student.grad, torch.zeros(1, 2, dtype=torch.float64))


def test_half_precision_is_computed_in_single_precision_also_inside_autocast():
    student, peer = random_points(4).bfloat16(), random_points(5).bfloat16()
    for relation in COHORT_RELATIONS:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            value = relational_transfer(student, peer, relation=relation)
        assert value.dtype == torch.float32
        assert torch.equal(value, relational_transfer(student.float(), peer.float(), relation=relation))


def test_an_unknown_relation_or_penalty_is_refused_with_the_closest_name():
    with pytest.raises(UnknownChoice, match="did you mean distance"):
        relational_transfer(circle(0, 1), circle(0, 1), relation="distances")
    with pytest.raises(UnknownChoice, match="did you mean huber"):
        relational_transfer(circle(0, 1), circle(0, 1), penalty="hubert")


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), variant=st.sampled_from(VARIANTS))
def test_a_rotation_of_either_member_or_another_order_of_the_batch_changes_nothing(seed, variant):
    relation, penalty, normalised = variant
    student, peer = random_points(seed), random_points(seed + 1)
    generator = torch.Generator().manual_seed(seed)
    rotation = torch.linalg.qr(torch.randn(4, 4, generator=generator, dtype=torch.float64))[0]
    order = torch.randperm(len(student), generator=generator)

    def transfer(a, b):
        return relational_transfer(a, b, relation=relation, penalty=penalty, mean_normalised=normalised)

    value = transfer(student, peer)
    assert value.item() >= 0
    assert torch.allclose(transfer(student @ rotation, peer), value, atol=1e-12)
    assert torch.allclose(transfer(student[order], peer[order]), value, atol=1e-12)
    assert transfer(student, student @ rotation).item() == pytest.approx(0, abs=1e-7)
