import math

import pytest
import torch

from continual_dml.errors import SettingsError
from continual_dml.losses.normalised_softmax import NormalisedSoftmaxLoss
from continual_dml.losses.soft_triple import SoftTripleLoss

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
SEEDS = range(5)
CLASS_IDS = torch.tensor([2, 30, 31])


def batch(seed, size=9):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(size, 4, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(points, dim=1), torch.randint(0, 3, (size,), generator=generator)


def made(seed, **constants):
    torch.manual_seed(seed)
    loss = SoftTripleLoss(CLASS_IDS, 4, **constants).double()
    loss.centres.data *= torch.rand(*loss.centres.shape[:2], 1, dtype=torch.float64) + 0.5
    return loss


def slow(points, rows, centres, scale, gamma, margin, tau):
    directions = centres / centres.norm(dim=2, keepdim=True)
    classes, count = directions.shape[:2]
    total = 0.0
    for point, own in zip(points, rows, strict=True):
        logits = []
        for c in range(classes):
            cosines = [float(point @ directions[c, k]) for k in range(count)]
            shares = [math.exp(s / gamma) for s in cosines]
            relaxed = sum(w * s for w, s in zip(shares, cosines, strict=True)) / sum(shares)
            logits.append(scale * (relaxed - (margin if c == own else 0.0)))
        total -= math.log(math.exp(logits[own]) / sum(map(math.exp, logits)))
    spread = sum(
        math.sqrt(2 - 2 * float(directions[c, k] @ directions[c, m]) + 1e-5)
        for c in range(classes)
        for k in range(count)
        for m in range(k + 1, count)
    )
    return total / len(rows) + tau * spread / (classes * max(1, count * (count - 1)))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("centres", [1, 2, 5])
def test_soft_triple_is_its_formula(seed, centres):
    loss, (points, rows) = made(seed, centres_per_class=centres), batch(seed)
    expected = slow(points, rows.tolist(), loss.centres.detach(), 20.0, 0.1, 0.01, 0.2)
    assert loss(points, CLASS_IDS[rows]).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_soft_triple_without_its_last_term_agrees_with_pytorch_metric_learning(seed):
    # The oracle leaves the term on the spread of centres to a regulariser of its own.
    from pytorch_metric_learning.losses import SoftTripleLoss as Oracle

    loss, (points, rows) = made(seed, centres_per_class=3, tau=0.0), batch(seed)
    oracle = Oracle(3, 4, centers_per_class=3, la=20, gamma=0.1, margin=0.01).double()
    oracle.fc.data.copy_(loss.centres.data.flatten(0, 1).T)
    assert loss(points, CLASS_IDS[rows]).item() == pytest.approx(oracle(points, rows).item(), rel=1e-6)


def test_the_soft_maximum_leans_to_the_nearest_centre():
    # Class 0 has centres at cosines .6 and .8, class 1 twice at cosine 0. With gamma = .2 / log 3 the nearer
    # centre counts 3 times the other: S_0 = (.6 + 3 * .8) / 4 = .75. Loss log(1 + e^-.75).
    loss = SoftTripleLoss(torch.arange(2), 3, 2, scale=1.0, gamma=0.2 / math.log(3), margin=0.0, tau=0.0)
    loss.centres.data.copy_(torch.eye(3)[[0, 1, 2, 2]].view(2, 2, 3))
    value = loss(torch.tensor([[0.6, 0.8, 0.0]]), torch.tensor([0]))
    assert value.item() == pytest.approx(math.log(1 + math.exp(-0.75)), abs=1e-6)


def test_the_last_term_is_half_the_mean_distance_of_a_classes_centres():
    # Centres a right angle apart in both classes: 2 sqrt(2) / (2 classes * 2 * 1).
    points, labels = torch.tensor([[1.0, 0.0]]), torch.tensor([0])
    values = []
    for tau in (0.0, 1.0):
        loss = SoftTripleLoss(torch.arange(2), 2, 2, tau=tau)
        loss.centres.data.copy_(torch.eye(2).expand(2, 2, 2))
        values.append(loss(points, labels).item())
    assert values[1] - values[0] == pytest.approx(math.sqrt(2) / 2, abs=1e-5)


def test_centres_in_one_place_have_a_finite_gradient():
    loss = SoftTripleLoss(torch.arange(2), 2, 3)
    loss.centres.data.fill_(1.0)
    loss(torch.eye(2), torch.arange(2)).backward()
    assert loss.centres.grad.isfinite().all()


@pytest.mark.parametrize("seed", SEEDS)
def test_one_centre_without_a_margin_is_the_normalised_softmax(seed):
    loss, (points, rows) = made(seed, centres_per_class=1, margin=0.0), batch(seed)
    softmax = NormalisedSoftmaxLoss(CLASS_IDS, 4, temperature=1 / 20).double()
    softmax.proxies.data.copy_(loss.centres.data[:, 0])
    expected = softmax(points, CLASS_IDS[rows]).item()
    assert loss(points, CLASS_IDS[rows]).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "constants",
    [{"centres_per_class": 0}, {"scale": 0.0}, {"gamma": math.nan}, {"margin": -0.1}, {"tau": -1.0}],
)
def test_constants_of_soft_triple_that_cannot_work_are_refused(constants):
    with pytest.raises(SettingsError, match="soft-triple"):
        SoftTripleLoss(CLASS_IDS, 4, **constants)
