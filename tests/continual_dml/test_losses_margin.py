import math

import pytest
import torch

from continual_dml.errors import SettingsError, TrainingError
from continual_dml.losses.margin import MarginLoss
from continual_dml.miners.all_triplets import all_triplets
from continual_dml.miners.distance_weighted import DistanceWeighted

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def batch(seed, size=12, classes=4):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (size,), generator=generator)
    points = torch.randn(size, 5, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(points, dim=1), labels


def made(seed=0, miner=all_triplets):
    torch.manual_seed(seed)
    loss = MarginLoss(torch.arange(4), 5, miner=miner).double()
    loss.beta.data += 0.3 * torch.randn(4, dtype=torch.float64)  # boundaries as they are after some steps
    return loss


def slow(points, labels, beta, margin, triplets):
    total, terms = 0.0, 0
    for a, p, n in triplets:
        to_positive, to_negative = (float((points[a] - points[j]).norm()) for j in (p, n))
        for cost in (margin + to_positive - beta[labels[a]], margin + beta[labels[a]] - to_negative):
            total += max(0.0, cost)
            terms += cost > 0
    return total / max(1, terms)


@pytest.mark.parametrize("seed", range(5))
def test_the_loss_is_its_formula(seed):
    points, labels = batch(seed)
    loss = made(seed)
    triplets = zip(*(part.tolist() for part in all_triplets(points @ points.T, labels)), strict=True)
    expected = slow(points, labels.tolist(), loss.beta.tolist(), 0.2, triplets)
    assert loss(points, labels).item() == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("seed", range(5))
def test_the_loss_agrees_with_pytorch_metric_learning_on_the_same_triplets(seed):
    from pytorch_metric_learning.losses import MarginLoss as Oracle

    points, labels = batch(seed)
    torch.manual_seed(seed)
    triplets = DistanceWeighted(5)(points @ points.T, labels)
    ours = made(seed, lambda similarities, labels: triplets)
    oracle = Oracle(margin=0.2, beta=1.2, learn_beta=True, num_classes=4).double()
    oracle.beta.data.copy_(ours.beta.data)
    expected = oracle(points, labels, tuple(triplets)).item()
    assert ours(points, labels).item() == pytest.approx(expected, rel=1e-6)


def test_triplets_are_sampled_by_distance_where_no_miner_is_given():
    miner = MarginLoss(torch.arange(4), 5).miner
    assert isinstance(miner, DistanceWeighted)
    assert miner.dimension == 5


def test_boundaries_start_at_the_papers_distance_and_are_learned_slowly():
    loss = MarginLoss(torch.tensor([30, 7]), 5)
    assert loss.beta.tolist() == pytest.approx([1.2, 1.2])
    assert loss.learning_rate == 5e-4


def test_each_anchor_has_its_own_classes_boundary():
    points = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    loss = MarginLoss(torch.tensor([9, 4]), 2)
    # Both anchors are of class 9, the second smallest id, and their positive is at 1.4142: a term of
    # .2 + 1.4142 - 1.2 each. Negatives at 2 and at 1.4142 cost nothing: .2 + 1.2 - 1.4142 < 0.
    value = loss(points, torch.tensor([9, 9, 4]))
    value.backward()
    assert value.item() == pytest.approx(math.sqrt(2) - 1, abs=1e-6)
    assert loss.beta.grad.tolist() == pytest.approx([0, -1])


def test_two_images_in_one_place_have_a_finite_gradient():
    points = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]], requires_grad=True)
    value = MarginLoss(torch.arange(2), 2)(points, torch.tensor([0, 0, 1]))
    value.backward()
    assert value.item() == pytest.approx(0.2 + 1.2, abs=1e-3)  # the negatives' terms alone
    assert points.grad.isfinite().all()


def test_a_label_of_another_task_has_no_boundary():
    with pytest.raises(TrainingError, match="margin loss: a label"):
        MarginLoss(torch.tensor([4, 9]), 2)(torch.eye(2), torch.tensor([4, 5]))


@pytest.mark.parametrize("constants", [{"margin": -0.1}, {"margin": math.nan}, {"beta": 0.0}, {"beta": 2.5}])
def test_impossible_distances_of_the_margin_loss_are_refused(constants):
    with pytest.raises(SettingsError, match="between 0 and 2"):
        MarginLoss(torch.arange(2), 3, **constants)
