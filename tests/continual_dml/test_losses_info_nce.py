"""N-pair and supervised contrastive loss against explicit loops and pytorch-metric-learning."""

import math

import pytest
import torch

from continual_dml.errors import SettingsError
from continual_dml.losses.n_pair import NPairLoss
from continual_dml.losses.supcon import SupConLoss

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
SEEDS = range(5)


def batch(seed, size=13, classes=5):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (size,), generator=generator)
    points = torch.randn(size, 6, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(points, dim=1), labels


def partners(labels, i):
    own = [j for j in range(len(labels)) if labels[j] == labels[i] and j != i]
    return own, [j for j in range(len(labels)) if labels[j] != labels[i]]


def slow_n_pair(points, labels, temperature):
    s, costs = (points @ points.T).tolist(), []
    for i in range(len(labels)):
        own, other = partners(labels, i)
        for positive in (s[i][p] for p in own):
            total = sum(math.exp((s[i][n] - positive) / temperature) for n in other)
            costs.append(math.log(1 + total))
    return sum(costs) / max(1, len(costs))


def slow_supcon(points, labels, temperature):
    s, costs = (points @ points.T).tolist(), []
    for i in range(len(labels)):
        own, other = partners(labels, i)
        if own:
            total = sum(math.exp(s[i][j] / temperature) for j in own + other)
            costs.append(sum(-math.log(math.exp(s[i][p] / temperature) / total) for p in own) / len(own))
    return sum(costs) / max(1, len(costs))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("temperature", [0.05, 0.1, 1.0])
def test_n_pair_is_its_formula(seed, temperature):
    points, labels = batch(seed)
    expected = slow_n_pair(points, labels.tolist(), temperature)
    assert NPairLoss(temperature)(points, labels).item() == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("seed", SEEDS)
def test_n_pair_with_all_pairs_is_what_pytorch_metric_learning_calls_nt_xent(seed):
    from pytorch_metric_learning.losses import NTXentLoss

    points, labels = batch(seed)
    expected = NTXentLoss(temperature=0.1)(points, labels).item()
    assert NPairLoss(0.1)(points, labels).item() == pytest.approx(expected, rel=1e-6)


def test_n_pair_has_two_terms_for_each_one_of_the_n_pairs_of_pytorch_metric_learning():
    # The oracle follows the paper to the letter: one image of each class is the anchor, another one its
    # positive, and only the positives of the other classes are negatives. In a batch of each image twice all
    # anchors cost the same, and ours finds each of the oracle's negatives twice.
    from pytorch_metric_learning.losses import NPairsLoss

    first, second = torch.tensor([1.0, 0.0]).double(), torch.tensor([0.6, 0.8]).double()
    points = torch.stack([first, first, second, second])
    labels = torch.tensor([0, 0, 1, 1])
    oracle = NPairsLoss()(points, labels).item()
    assert oracle == pytest.approx(math.log(1 + math.exp(0.6 - 1)))
    assert NPairLoss(1.0)(points, labels).item() == pytest.approx(math.log(1 + 2 * math.exp(0.6 - 1)))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("temperature", [0.05, 0.1, 1.0])
def test_supcon_is_its_formula(seed, temperature):
    points, labels = batch(seed)
    expected = slow_supcon(points, labels.tolist(), temperature)
    assert SupConLoss(temperature)(points, labels).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_supcon_agrees_with_pytorch_metric_learning(seed):
    # They differ for a batch of one class alone, which costs 0 there and the evenness of its softmax here.
    from pytorch_metric_learning.losses import SupConLoss as Oracle

    points, labels = batch(seed)
    expected = Oracle(temperature=0.1)(points, labels).item()
    assert SupConLoss(0.1)(points, labels).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_both_are_the_same_where_each_anchor_has_one_positive(seed):
    points, _ = batch(seed, size=10)
    labels = torch.arange(5).repeat(2)
    assert NPairLoss()(points, labels).item() == pytest.approx(SupConLoss()(points, labels).item(), rel=1e-7)


def test_supcon_of_one_class_at_equal_distances_is_the_logarithm_of_the_others():
    assert SupConLoss()(torch.eye(4), torch.zeros(4)).item() == pytest.approx(math.log(3))


@pytest.mark.parametrize("loss", [NPairLoss(0.001), SupConLoss(0.001)])
def test_a_very_low_temperature_does_not_overflow(loss):
    points = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0]], requires_grad=True)
    value = loss(points, torch.tensor([0, 0, 1]))  # the positive is opposite, the negative on the anchor
    value.backward()
    # Anchor 0: (1 - -1) / .001 = 2000. Anchor 1: both others at cosine -1: log 2. Anchor 2 has no positive.
    assert value.item() == pytest.approx((2000 + math.log(2)) / 2)
    assert points.grad.isfinite().all()


@pytest.mark.parametrize("loss", [NPairLoss, SupConLoss])
@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_an_impossible_temperature_is_refused(loss, temperature):
    with pytest.raises(SettingsError, match="temperature"):
        loss(temperature)
