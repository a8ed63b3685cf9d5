import math

import pytest
import torch

from continual_dml.errors import SettingsError
from continual_dml.miners.distance_weighted import DistanceWeighted
from continual_dml.similarity import pair_masks

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def batch(seed, size=12, classes=4, dimension=6, spread=0.6):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(size) % classes
    centres = torch.randn(classes, dimension, generator=generator, dtype=torch.float64)
    points = centres[labels] + spread * torch.randn(size, dimension, generator=generator, dtype=torch.float64)
    points = torch.nn.functional.normalize(points, dim=1)
    return points, points @ points.T, labels


def probabilities(miner, similarities, labels):
    return miner.log_weights(similarities, pair_masks(labels).negative).softmax(dim=1)


def slow_probabilities(similarities, labels, dimension):
    table = []
    for a, row in enumerate(similarities.tolist()):
        weights = []
        for j, s in enumerate(row):
            d = max(math.sqrt(max(0.0, 2 - 2 * s)), 0.5)
            allowed = labels[j] != labels[a] and d < 1.4
            q = d ** (dimension - 2) * (1 - min(d, 1.4) ** 2 / 4) ** ((dimension - 3) / 2)
            weights.append(1 / q if allowed else 0.0)
        if not sum(weights):
            weights = [float(labels[j] != labels[a]) for j in range(len(row))]
        table.append([w / sum(weights) for w in weights])
    return torch.tensor(table, dtype=torch.float64)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dimension", [2, 3, 6, 64])
def test_the_weights_are_those_of_the_formula(seed, dimension):
    _, similarities, labels = batch(seed)
    expected = slow_probabilities(similarities, labels.tolist(), dimension)
    found = probabilities(DistanceWeighted(dimension), similarities, labels)
    assert torch.allclose(found, expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_the_weights_agree_with_pytorch_metric_learning(seed, monkeypatch):
    # The oracle leaves anchors out all of whose negatives lie far (0/0 in its weights); ours draw evenly.
    from pytorch_metric_learning.miners import DistanceWeightedMiner
    from pytorch_metric_learning.utils import loss_and_miner_utils

    points, similarities, labels = batch(seed)
    seen = []
    monkeypatch.setattr(
        loss_and_miner_utils,
        "get_random_triplet_indices",
        lambda labels, ref_labels, weights: seen.append(weights) or (labels, labels, labels),
    )
    DistanceWeightedMiner(cutoff=0.5, nonzero_loss_cutoff=1.4)(points, labels)
    common = ~seen[0].isnan().any(dim=1)
    found = probabilities(DistanceWeighted(6), similarities, labels)
    assert common.sum() >= 6
    assert torch.allclose(found[common], seen[0][common], rtol=1e-6, atol=1e-9)


def test_negatives_are_drawn_as_often_as_their_weights_say():
    # 3 dimensions: weight 1/d. Cosines .28 and .82 are distances 1.2 and .6: drawn as 1 to 2.
    similarities = torch.eye(4)
    similarities[0] = torch.tensor([1.0, 0.5, 0.28, 0.82])
    torch.manual_seed(1)
    miner = DistanceWeighted(3)
    drawn = [int(miner(similarities, torch.tensor([0, 0, 1, 2])).negative[0]) for _ in range(3000)]
    assert set(drawn) == {2, 3}
    assert drawn.count(3) / 3000 == pytest.approx(2 / 3, abs=0.035)  # 4 standard errors


def test_negatives_below_the_nearest_distance_are_drawn_alike():
    similarities = torch.tensor([[1.0, 0.5, 0.9, 0.99]]).expand(4, 4)  # distances .447 and .141: below .5
    weights = probabilities(DistanceWeighted(64), similarities, torch.tensor([0, 0, 1, 2]))
    assert weights[0].tolist() == pytest.approx([0, 0, 0.5, 0.5])


def test_negatives_out_of_reach_are_drawn_evenly_when_there_are_no_others():
    similarities = torch.tensor([[1.0, 0.5, -0.9, 0.0]]).expand(4, 4)
    weights = probabilities(DistanceWeighted(8), similarities, torch.tensor([0, 0, 1, 2]))
    assert weights[0].tolist() == pytest.approx([0, 0, 0.5, 0.5])


def test_every_positive_pair_gets_one_negative():
    _, similarities, labels = batch(5)
    anchor, positive, negative = DistanceWeighted(6)(similarities, labels)
    assert torch.equal(torch.stack([anchor, positive], dim=1), pair_masks(labels).positive.nonzero())
    assert not (labels[anchor] == labels[negative]).any()


def test_a_seed_repeats_the_draws_and_the_next_miner_draws_others():
    _, similarities, labels = batch(6, size=40)
    torch.manual_seed(3)
    first, other = DistanceWeighted(6), DistanceWeighted(6)
    torch.manual_seed(3)
    again = DistanceWeighted(6)
    drawn = first(similarities, labels).negative
    assert torch.equal(drawn, again(similarities, labels).negative)
    assert not torch.equal(drawn, other(similarities, labels).negative)


@pytest.mark.parametrize("bounds", [(0.0, 1.4), (1.4, 0.5), (0.5, 2.0)])
def test_impossible_distances_are_refused(bounds):
    with pytest.raises(SettingsError, match="nearest"):
        DistanceWeighted(4, *bounds)


def test_a_line_has_no_sphere_to_sample_from():
    with pytest.raises(SettingsError, match="dimensions"):
        DistanceWeighted(1)
