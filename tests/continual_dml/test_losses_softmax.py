"""Proxy-NCA++, normalised softmax and ArcFace against explicit loops and pytorch-metric-learning."""

import math

import pytest
import torch

from continual_dml.errors import SettingsError, TrainingError
from continual_dml.losses.arcface import ArcFaceLoss
from continual_dml.losses.margin import MarginLoss
from continual_dml.losses.normalised_softmax import NormalisedSoftmaxLoss
from continual_dml.losses.proxy_nca import ProxyNcaLoss
from continual_dml.losses.soft_triple import SoftTripleLoss

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
SEEDS = range(5)
CLASS_IDS = torch.tensor([2, 30, 31, 47])
KINDS = [ArcFaceLoss, MarginLoss, NormalisedSoftmaxLoss, ProxyNcaLoss, SoftTripleLoss]


def batch(seed, size=11):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(size, 5, generator=generator, dtype=torch.float64)
    rows = torch.randint(0, len(CLASS_IDS), (size,), generator=generator)
    return torch.nn.functional.normalize(points, dim=1), rows


def made(kind, seed=0, **constants):
    torch.manual_seed(seed)
    loss = kind(CLASS_IDS, 5, **constants).double()
    loss.proxies.data *= torch.rand(4, 1, dtype=torch.float64) + 0.5  # lengths as they are after some steps
    return loss


def slow_cross_entropy(logits, rows):
    costs = [-math.log(math.exp(z[c]) / sum(map(math.exp, z))) for z, c in zip(logits, rows, strict=True)]
    return sum(costs) / len(costs)


def angles_between(points, proxies):
    return torch.acos(points @ (proxies / proxies.norm(dim=1, keepdim=True)).T).tolist()


@pytest.mark.parametrize("seed", SEEDS)
def test_normalised_softmax_is_its_formula(seed):
    loss, (points, rows) = made(NormalisedSoftmaxLoss, seed), batch(seed)
    logits = [[math.cos(a) / 0.05 for a in row] for row in angles_between(points, loss.proxies.detach())]
    expected = slow_cross_entropy(logits, rows.tolist())
    assert loss(points, CLASS_IDS[rows]).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_normalised_softmax_agrees_with_pytorch_metric_learning(seed):
    from pytorch_metric_learning.losses import NormalizedSoftmaxLoss as Oracle

    loss, (points, rows) = made(NormalisedSoftmaxLoss, seed), batch(seed)
    oracle = Oracle(4, 5, temperature=0.05).double()
    oracle.W.data.copy_(loss.proxies.data.T)
    assert loss(points, CLASS_IDS[rows]).item() == pytest.approx(oracle(points, rows).item(), rel=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_proxy_nca_is_its_formula(seed):
    loss, (points, rows) = made(ProxyNcaLoss, seed), batch(seed)
    proxies = loss.proxies.detach() / loss.proxies.detach().norm(dim=1, keepdim=True)
    logits = [[-9 * float((point - proxy).square().sum()) for proxy in proxies] for point in points]
    expected = slow_cross_entropy(logits, rows.tolist())
    assert loss(points, CLASS_IDS[rows]).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_proxy_nca_agrees_with_pytorch_metric_learning(seed):
    # The oracle's denominator has all proxies too: with a scale it is Proxy-NCA++, not the first Proxy-NCA.
    from pytorch_metric_learning.losses import ProxyNCALoss as Oracle

    loss, (points, rows) = made(ProxyNcaLoss, seed), batch(seed)
    oracle = Oracle(4, 5, softmax_scale=9).double()
    oracle.proxies.data.copy_(loss.proxies.data)
    assert loss(points, CLASS_IDS[rows]).item() == pytest.approx(oracle(points, rows).item(), rel=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_proxy_nca_is_the_normalised_softmax_at_half_the_temperature(seed):
    points, rows = batch(seed)
    nca = made(ProxyNcaLoss, seed, temperature=0.2)(points, CLASS_IDS[rows])
    softmax = made(NormalisedSoftmaxLoss, seed, temperature=0.1)(points, CLASS_IDS[rows])
    assert nca.item() == pytest.approx(softmax.item(), rel=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("margin", [0.0, 0.5, 1.2])
def test_arcface_is_its_formula(seed, margin):
    loss, (points, rows) = made(ArcFaceLoss, seed, scale=16.0, margin_radians=margin), batch(seed)
    logits = []
    for angles, c in zip(angles_between(points, loss.proxies.detach()), rows.tolist(), strict=True):
        z = [math.cos(a) for a in angles]
        wide = angles[c] >= math.pi - margin
        z[c] = math.cos(angles[c]) - margin * math.sin(margin) if wide else math.cos(angles[c] + margin)
        logits.append([16 * value for value in z])
    expected = slow_cross_entropy(logits, rows.tolist())
    assert loss(points, CLASS_IDS[rows]).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_arcface_agrees_with_pytorch_metric_learning(seed):
    from pytorch_metric_learning.losses import ArcFaceLoss as Oracle

    loss, (points, rows) = made(ArcFaceLoss, seed), batch(seed)
    oracle = Oracle(4, 5, margin=math.degrees(0.5), scale=64).double()
    oracle.W.data.copy_(loss.proxies.data.T)
    assert loss(points, CLASS_IDS[rows]).item() == pytest.approx(oracle(points, rows).item(), rel=1e-6)


def test_arcface_costs_more_the_wider_the_own_angle_also_where_its_cosine_would_rise_again():
    angles = torch.linspace(0, math.pi, 60, dtype=torch.float64)
    loss = ArcFaceLoss(torch.tensor([0, 1]), 3, scale=2.0).double()
    loss.proxies.data.copy_(torch.eye(3, dtype=torch.float64)[[0, 2]])  # the other proxy is at a right angle
    points = torch.stack([angles.cos(), angles.sin(), torch.zeros(60)], dim=1)
    values = [loss(point[None], torch.tensor([0])).item() for point in points]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(math.log(1 + math.exp(2 * (1 + 0.5 * math.sin(0.5)))))  # z = -1 - .24


def test_arcface_has_a_finite_gradient_for_an_image_on_its_proxy_and_opposite_to_it():
    loss = ArcFaceLoss(torch.tensor([0, 1]), 2)
    loss.proxies.data.copy_(torch.eye(2))
    points = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], requires_grad=True)
    loss(points, torch.tensor([0, 0])).backward()
    assert points.grad.isfinite().all()
    assert loss.proxies.grad.isfinite().all()


@pytest.mark.parametrize("kind", [ArcFaceLoss, NormalisedSoftmaxLoss, ProxyNcaLoss])
def test_proxies_of_a_softmax_learn_where_their_classes_are(kind):
    torch.manual_seed(0)
    points, labels = torch.eye(3), torch.tensor([5, 6, 7])
    loss = kind(labels, 3)
    optimiser = torch.optim.Adam(loss.parameters(), lr=0.1)
    for _ in range(60):
        optimiser.zero_grad()
        loss(points, labels).backward()
        optimiser.step()
    directions = torch.nn.functional.normalize(loss.proxies.detach(), dim=1)
    assert (points @ directions.T).argmax(dim=1).tolist() == [0, 1, 2]


def test_proxies_start_at_unit_length():
    proxies = NormalisedSoftmaxLoss(CLASS_IDS, 64).proxies.detach()
    assert proxies.norm(dim=1).tolist() == pytest.approx([1.0] * 4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_label_without_a_proxy_is_refused(kind):
    with pytest.raises(TrainingError, match="none of the classes"):
        kind(torch.tensor([4, 9]), 2)(torch.eye(2), torch.tensor([4, 5]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("class_ids", [[], [3, 3]])
def test_classes_must_be_given_once_each(kind, class_ids):
    with pytest.raises(SettingsError, match="each of them once"):
        kind(torch.tensor(class_ids, dtype=torch.int64), 2)


@pytest.mark.parametrize("kind", [NormalisedSoftmaxLoss, ProxyNcaLoss])
@pytest.mark.parametrize("temperature", [0.0, math.nan])
def test_a_softmax_without_a_temperature_is_refused(kind, temperature):
    with pytest.raises(SettingsError, match="temperature"):
        kind(CLASS_IDS, 5, temperature=temperature)


@pytest.mark.parametrize("constants", [{"scale": 0.0}, {"margin_radians": -0.1}, {"margin_radians": 28.6}])
def test_constants_of_arcface_that_cannot_work_are_refused(constants):
    with pytest.raises(SettingsError, match="radians"):
        ArcFaceLoss(CLASS_IDS, 5, **constants)
