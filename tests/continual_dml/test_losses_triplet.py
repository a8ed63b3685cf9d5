import math

import pytest
import torch

from continual_dml.errors import SettingsError
from continual_dml.losses.triplet import TripletLoss
from continual_dml.miners.all_triplets import all_triplets
from continual_dml.miners.batch_hard import batch_hard
from continual_dml.miners.semi_hard import semi_hard

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def batch(seed, size=12, classes=3):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(size) % classes
    points = torch.randn(size, 4, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(points, dim=1), labels


def test_a_triplet_on_the_unit_circle_costs_its_cosine_gap_and_the_margin():
    # Anchors at 0 and 60 degrees (one class), negative at 90: cos 60 = 1/2, cos 90 = 0, cos 30 = .866.
    angles = torch.deg2rad(torch.tensor([0.0, 60.0, 90.0]))
    points = torch.stack([angles.cos(), angles.sin()], dim=1)
    expected = (max(0.0, 0 - 0.5 + 0.2) + (math.cos(math.pi / 6) - 0.5 + 0.2)) / 2
    loss = TripletLoss(margin=0.2)
    assert loss(points, torch.tensor([0, 0, 1])).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("miner", [batch_hard, semi_hard])
def test_the_loss_is_half_the_facenet_loss_of_squared_distances_with_twice_the_margin(seed, miner):
    points, labels = batch(seed)
    triplets = miner(points @ points.T, labels)
    total = 0.0
    for a, p, n in zip(*(part.tolist() for part in triplets), strict=True):
        to_positive = float((points[a] - points[p]).square().sum())
        to_negative = float((points[a] - points[n]).square().sum())
        total += max(0.0, to_positive - to_negative + 0.2) / 2
    expected = total / len(triplets.anchor)
    assert TripletLoss(miner, margin=0.1)(points, labels).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_batch_hard_agrees_with_pytorch_metric_learning(seed):
    from pytorch_metric_learning.distances import CosineSimilarity
    from pytorch_metric_learning.losses import TripletMarginLoss
    from pytorch_metric_learning.miners import BatchHardMiner
    from pytorch_metric_learning.reducers import MeanReducer

    points, labels = batch(seed)
    mined = BatchHardMiner(distance=CosineSimilarity())(points, labels)
    oracle = TripletMarginLoss(margin=0.1, distance=CosineSimilarity(), reducer=MeanReducer())
    expected = oracle(points, labels, mined).item()
    assert TripletLoss(batch_hard)(points, labels).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_all_triplets_agree_with_pytorch_metric_learning_which_averages_over_the_violated_ones(seed):
    from pytorch_metric_learning.distances import CosineSimilarity
    from pytorch_metric_learning.losses import TripletMarginLoss

    points, labels = batch(seed)
    expected = TripletMarginLoss(margin=0.1, distance=CosineSimilarity())(points, labels).item()
    loss = TripletLoss(all_triplets, only_violated=True)
    assert loss(points, labels).item() == pytest.approx(expected, rel=1e-6)


def test_easy_triplets_are_left_out_of_the_mean_over_the_violated_ones():
    # From 0 degrees: positive at 60 (cosine 1/2), negatives at 90 (cosine 0, easy) and 30 (cosine .866);
    # from 60 degrees both negatives are at 30 degrees. Each violated triplet costs .866 - .5 + .1.
    angles = torch.deg2rad(torch.tensor([0.0, 60.0, 90.0, 30.0]))
    points, labels = torch.stack([angles.cos(), angles.sin()], dim=1), torch.tensor([0, 0, 1, 2])
    cost = math.cos(math.pi / 6) - 0.4
    assert TripletLoss(all_triplets)(points, labels).item() == pytest.approx(3 / 4 * cost, abs=1e-6)
    violated = TripletLoss(all_triplets, only_violated=True)
    assert violated(points, labels).item() == pytest.approx(cost, abs=1e-6)


def test_semi_hard_triplets_are_among_those_of_pytorch_metric_learning():
    from pytorch_metric_learning.distances import CosineSimilarity
    from pytorch_metric_learning.miners import TripletMarginMiner

    points, labels = batch(3)
    cosines = points @ points.T
    anchor, positive, negative = semi_hard(cosines, labels)
    gaps = cosines[anchor, positive] - cosines[anchor, negative]
    semi = ((gaps > 0) & (gaps <= 0.3)).nonzero().squeeze(1)  # those within its margin
    miner = TripletMarginMiner(margin=0.3, type_of_triplets="semihard", distance=CosineSimilarity())
    allowed = set(zip(*(part.tolist() for part in miner(points, labels)), strict=True))
    ours = set(zip(*(part[semi].tolist() for part in (anchor, positive, negative)), strict=True))
    assert ours
    assert ours <= allowed


def test_a_wider_margin_never_costs_less():
    points, labels = batch(9)
    values = [TripletLoss(semi_hard, margin)(points, labels).item() for margin in (0.0, 0.1, 0.2, 1.0)]
    assert values == sorted(values)


@pytest.mark.parametrize("margin", [-0.1, math.nan, math.inf])
def test_an_impossible_margin_is_refused(margin):
    with pytest.raises(SettingsError, match="margin"):
        TripletLoss(margin=margin)
