"""Multi-similarity and contrastive loss against explicit loops and pytorch-metric-learning."""

import math

import pytest
import torch

from continual_dml.errors import SettingsError
from continual_dml.losses.contrastive import ContrastiveLoss
from continual_dml.losses.multi_similarity import MultiSimilarityLoss

# Importing the oracle raises deprecation warnings of its own dependencies.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
SEEDS = range(6)


def batch(seed, size=14, classes=4, spread=0.6):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (size,), generator=generator)
    centres = torch.randn(classes, 6, generator=generator, dtype=torch.float64)
    points = centres[labels] + spread * torch.randn(size, 6, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(points, dim=1), labels


def slow_multi_similarity(points, labels, alpha=2.0, beta=40.0, base=0.5, epsilon=0.1):
    s, n, total = (points @ points.T).tolist(), len(labels), 0.0
    for i in range(n):
        positives = [s[i][j] for j in range(n) if labels[j] == labels[i] and j != i]
        negatives = [s[i][j] for j in range(n) if labels[j] != labels[i]]
        if not positives or not negatives:
            continue
        hard_positives = [p for p in positives if p < max(negatives) + epsilon]
        hard_negatives = [q for q in negatives if q > min(positives) - epsilon]
        total += math.log(1 + sum(math.exp(-alpha * (p - base)) for p in hard_positives)) / alpha
        total += math.log(1 + sum(math.exp(beta * (q - base)) for q in hard_negatives)) / beta
    return total / n


def slow_contrastive(points, labels, positive_margin, negative_margin):
    s, n = (points @ points.T).tolist(), len(labels)
    pulls, pushes = [], []
    for i in range(n):
        for j in range(n):
            if i != j and labels[i] == labels[j] and s[i][j] < positive_margin:
                pulls.append(positive_margin - s[i][j])
            if labels[i] != labels[j] and s[i][j] > negative_margin:
                pushes.append(s[i][j] - negative_margin)
    return sum(pulls) / max(1, len(pulls)) + sum(pushes) / max(1, len(pushes))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("spread", [0.1, 0.6, 3.0])
def test_multi_similarity_is_its_formula(seed, spread):
    points, labels = batch(seed, spread=spread)
    assert MultiSimilarityLoss()(points, labels).item() == pytest.approx(
        slow_multi_similarity(points, labels.tolist()), rel=1e-9, abs=1e-12
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_multi_similarity_agrees_with_pytorch_metric_learning(seed):
    from pytorch_metric_learning.losses import MultiSimilarityLoss as Oracle
    from pytorch_metric_learning.miners import MultiSimilarityMiner

    points, labels = batch(seed)
    mined = MultiSimilarityMiner(epsilon=0.1)(points, labels)
    expected = Oracle(alpha=2, beta=40, base=0.5)(points, labels, mined)
    assert MultiSimilarityLoss()(points, labels).item() == pytest.approx(expected.item(), rel=1e-6)


def test_multi_similarity_ignores_pairs_that_do_not_compete():
    # Classes a quarter turn apart: each negative (cosine 0) is far below the positives (cosine 1).
    points = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert MultiSimilarityLoss()(points, torch.tensor([0, 0, 1, 1])).item() == 0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("margins", [(1.0, 0.5), (0.8, 0.2), (0.9, -1.0)])
def test_contrastive_is_its_formula(seed, margins):
    points, labels = batch(seed)
    expected = slow_contrastive(points, labels.tolist(), *margins)
    assert ContrastiveLoss(*margins)(points, labels).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_contrastive_agrees_with_pytorch_metric_learning(seed):
    from pytorch_metric_learning.distances import CosineSimilarity
    from pytorch_metric_learning.losses import ContrastiveLoss as Oracle

    points, labels = batch(seed)
    expected = Oracle(pos_margin=0.9, neg_margin=0.3, distance=CosineSimilarity())(points, labels)
    assert ContrastiveLoss(0.9, 0.3)(points, labels).item() == pytest.approx(expected.item(), rel=1e-6)


def test_contrastive_is_zero_with_a_graph_when_every_pair_keeps_its_margin():
    points = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    value = ContrastiveLoss()(points, torch.tensor([0, 0, 1]))
    value.backward()
    assert value.item() == 0
    assert points.grad.abs().sum() == 0


def test_contrastive_margins_in_the_wrong_order_are_refused():
    with pytest.raises(SettingsError, match="both are cosines"):
        ContrastiveLoss(positive_margin=0.2, negative_margin=0.5)


@pytest.mark.parametrize("scale", [{"alpha": 0.0}, {"beta": -1.0}])
def test_multi_similarity_scales_must_be_above_zero(scale):
    with pytest.raises(SettingsError, match="above 0"):
        MultiSimilarityLoss(**scale)
