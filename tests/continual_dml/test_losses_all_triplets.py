"""The triplet loss over all triplets, which counts them instead of listing them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.losses.triplet import TripletLoss
from continual_dml.losses.triplet_counts import triplet_counts
from continual_dml.miners.all_triplets import all_triplets


def listed_triplets(labels):
    places = range(len(labels))
    return [
        (a, p, n)
        for a in places
        for p in places
        for n in places
        if p != a and labels[p] == labels[a] and labels[n] != labels[a]
    ]


def slow_loss(points, labels, margin, only_violated):
    cosines = (points @ points.T).tolist()
    costs = [max(0.0, cosines[a][n] - cosines[a][p] + margin) for a, p, n in listed_triplets(labels.tolist())]
    counted = sum(cost > 0 for cost in costs) if only_violated else len(costs)
    return sum(costs) / max(counted, 1)


def listing(similarities, labels):
    """Stand for a miner that the loss does not know: it is asked for its triplets."""
    return all_triplets(similarities, labels)


def points_on_a_grid(seed, size, levels):
    """Return unit vectors of so few directions that many similarities are equal."""
    angles = torch.randint(0, levels, (size,), generator=torch.Generator().manual_seed(seed)).double()
    angles *= 2 * torch.pi / levels
    return torch.stack([angles.cos(), angles.sin()], dim=1)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=14),
    margin=st.sampled_from([0.03, 0.1, 0.7]),
    levels=st.sampled_from([1, 7, 100_000]),
    only_violated=st.booleans(),
)
def test_counted_triplets_cost_what_a_loop_over_them_adds_up(seed, labels, margin, levels, only_violated):
    points, labels = points_on_a_grid(seed, len(labels), levels), torch.tensor(labels)
    value = TripletLoss(all_triplets, margin, only_violated=only_violated)(points, labels)
    assert value.item() == pytest.approx(slow_loss(points, labels, margin, only_violated), abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), labels=st.lists(st.integers(0, 3), min_size=1, max_size=14))
def test_each_violated_triplet_counts_once_for_its_negative_and_once_against_its_positive(seed, labels):
    cosines = torch.randint(-3, 4, (len(labels),) * 2, generator=torch.Generator().manual_seed(seed)) / 4.0
    expected = torch.zeros(len(labels), len(labels), dtype=torch.int64)
    for a, p, n in listed_triplets(labels):
        if cosines[a, n] > cosines[a, p] - 0.25:
            expected[a, n] += 1
            expected[a, p] -= 1
    assert torch.equal(triplet_counts(cosines, torch.tensor(labels), 0.25), expected)


@pytest.mark.parametrize("only_violated", [False, True])
def test_the_gradient_of_counted_triplets_is_that_of_listed_ones(only_violated):
    points = torch.nn.functional.normalize(torch.randn(30, 5, dtype=torch.float64), dim=1).requires_grad_()
    labels = torch.arange(30) % 7
    counted = TripletLoss(all_triplets, only_violated=only_violated)
    listed = TripletLoss(listing, only_violated=only_violated)
    [ours] = torch.autograd.grad(counted(points, labels), points)
    [expected] = torch.autograd.grad(listed(points, labels), points)
    assert torch.allclose(ours, expected, rtol=0, atol=1e-12)
    assert torch.autograd.gradcheck(lambda given: counted(given, labels), points)


def test_a_batch_with_more_triplets_than_memory_holds_is_counted():
    # 1,000 images in two classes: 250 million triplets, each violated by the margin where all look the same.
    points, labels = torch.tensor([[1.0, 0.0]]).expand(1000, 2), torch.arange(1000) % 2
    assert TripletLoss(all_triplets, only_violated=True)(points, labels).item() == pytest.approx(0.1)


def test_an_embedding_that_is_not_a_number_shows_in_the_loss():
    points, labels = torch.eye(4), torch.tensor([0, 0, 1, 1])
    points[2] = torch.nan
    assert TripletLoss(all_triplets, only_violated=True)(points, labels).isnan()
