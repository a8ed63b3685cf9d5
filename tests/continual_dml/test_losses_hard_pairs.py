"""Hard-mining loss and binomial deviance against explicit loops and pytorch-metric-learning."""

import math

import pytest
import torch

from continual_dml.errors import SettingsError
from continual_dml.losses.binomial_deviance import BinomialDevianceLoss
from continual_dml.losses.hard_mining import HardMiningLoss

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
SEEDS = range(5)


def batch(seed, size=14, classes=5, spread=0.6):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (size,), generator=generator)
    centres = torch.randn(classes, 6, generator=generator, dtype=torch.float64)
    points = centres[labels] + spread * torch.randn(size, 6, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(points, dim=1), labels


def mean(values):
    return sum(values) / max(1, len(values))


def slow_hard_mining(points, labels, margin):
    s, n, total = (points @ points.T).tolist(), len(labels), 0.0
    for i in range(n):
        positives = [s[i][j] for j in range(n) if labels[j] == labels[i] and j != i]
        negatives = [s[i][j] for j in range(n) if labels[j] != labels[i]]
        if positives and negatives:
            total += mean([1 - p for p in positives if p < max(negatives) + margin])
            total += mean([q for q in negatives if q > min(positives) - margin])
    return total / n


def slow_binomial_deviance(points, labels, alpha, beta, base):
    s, n, pulls, pushes = (points @ points.T).tolist(), len(labels), [], []
    for i in range(n):
        for j in range(n):
            if i != j and labels[i] == labels[j]:
                pulls.append(math.log(1 + math.exp(-alpha * (s[i][j] - base))))
            if labels[i] != labels[j]:
                pushes.append(math.log(1 + math.exp(beta * (s[i][j] - base))))
    return mean(pulls) + mean(pushes)


def oracle_of_pairs(oracle, points, labels, pairs):
    """The oracle's loss of (anchors, positives, anchors, negatives), in a batch of each image twice.

    The oracle ignores a lone pair; a second copy of each pair leaves the means as they are.
    """
    doubled = tuple(torch.cat([part, part + len(points)]) for part in pairs)
    return oracle(torch.cat([points, points]), torch.cat([labels, labels]), doubled).item()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("spread", [0.1, 0.6, 3.0])
def test_hard_mining_is_its_formula(seed, spread):
    points, labels = batch(seed, spread=spread)
    expected = slow_hard_mining(points, labels.tolist(), 0.1)
    assert HardMiningLoss()(points, labels).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_hard_mining_is_the_contrastive_loss_of_pytorch_metric_learning_anchor_by_anchor(seed):
    # The oracle has its miner and, with margins 1 and -1, its terms: (1 - s_p) and (s_n + 1).
    from pytorch_metric_learning.distances import CosineSimilarity
    from pytorch_metric_learning.losses import ContrastiveLoss
    from pytorch_metric_learning.miners import MultiSimilarityMiner
    from pytorch_metric_learning.reducers import MeanReducer

    points, labels = batch(seed)
    a1, p, a2, n = MultiSimilarityMiner(epsilon=0.1)(points, labels)
    oracle = ContrastiveLoss(1.0, -1.0, distance=CosineSimilarity(), reducer=MeanReducer())
    total = 0.0
    for i in range(len(labels)):
        pairs = (a1[a1 == i], p[a1 == i], a2[a2 == i], n[a2 == i])
        if len(pairs[0]) or len(pairs[2]):
            total += oracle_of_pairs(oracle, points, labels, pairs) - bool(len(pairs[2]))
    assert HardMiningLoss()(points, labels).item() == pytest.approx(total / len(labels), rel=1e-6)


def test_hard_mining_leaves_out_what_does_not_compete():
    # Positives at 0 and 90 degrees (cosine 0), a negative at 180 degrees. Anchor 0: its negative at cosine -1
    # is too easy, and then so is the positive. Anchor 90: both at cosine 0: 1 - 0 + 0.
    angles = torch.deg2rad(torch.tensor([0.0, 90.0, 180.0]))
    points = torch.stack([angles.cos(), angles.sin()], dim=1)
    assert HardMiningLoss()(points, torch.tensor([0, 0, 1])).item() == pytest.approx(1 / 3, abs=1e-6)


def test_hard_mining_falls_below_zero_where_negatives_more_than_a_right_angle_apart_are_kept():
    # A margin that keeps every pair: positives cost 1 - 1, negatives -1; the third anchor has no positive.
    points = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    assert HardMiningLoss(margin=2.5)(points, torch.tensor([0, 0, 1])).item() == pytest.approx(-2 / 3)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("constants", [(2.0, 40.0, 0.5), (1.0, 5.0, 0.0)])
def test_binomial_deviance_is_its_formula(seed, constants):
    points, labels = batch(seed)
    expected = slow_binomial_deviance(points, labels.tolist(), *constants)
    assert BinomialDevianceLoss(*constants)(points, labels).item() == pytest.approx(expected, rel=1e-7)


def test_binomial_deviance_adds_up_from_single_pairs_of_pytorch_metric_learning():
    # The oracle has no binomial deviance. Its multi-similarity loss (a mean over B anchors) of one single
    # positive (negative) pair is 1/(alpha B) (1/(beta B)) of that pair's deviance.
    from pytorch_metric_learning.losses import MultiSimilarityLoss

    points, labels = batch(3, size=8, classes=3)
    oracle, none = MultiSimilarityLoss(alpha=2, beta=40, base=0.5), torch.tensor([], dtype=torch.int64)
    pulls, pushes = [], []
    for i in range(8):
        for j in range(8):
            pair = (torch.tensor([i]), torch.tensor([j]))
            if i != j and labels[i] == labels[j]:
                pulls.append(oracle_of_pairs(oracle, points, labels, (*pair, none, none)) * 8 * 2)
            elif i != j:
                pushes.append(oracle_of_pairs(oracle, points, labels, (none, none, *pair)) * 8 * 40)
    expected = mean(pulls) + mean(pushes)
    assert BinomialDevianceLoss()(points, labels).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_binomial_deviance_counts_nothing_for_the_kind_of_pair_that_is_missing(labels):
    points = torch.eye(3, dtype=torch.float64)
    scale = -2.0 if labels == [0, 0, 0] else 40.0
    expected = math.log(1 + math.exp(scale * -0.5))
    found = BinomialDevianceLoss()(points, torch.tensor(labels)).item()
    assert found == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("margin", [-0.1, math.nan])
def test_an_impossible_margin_of_hard_mining_is_refused(margin):
    with pytest.raises(SettingsError, match="margin"):
        HardMiningLoss(margin)


@pytest.mark.parametrize("scale", [{"alpha": 0.0}, {"beta": math.nan}])
def test_scales_of_binomial_deviance_must_be_above_zero(scale):
    with pytest.raises(SettingsError, match="above 0"):
        BinomialDevianceLoss(**scale)
