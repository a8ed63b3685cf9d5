import math

import pytest
import torch

from continual_dml.errors import SettingsError, TrainingError
from continual_dml.losses.proxy_anchor import ProxyAnchorLoss

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def batch(seed, class_ids, size=11):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(size, 4, generator=generator, dtype=torch.float64)
    labels = class_ids[torch.randint(0, len(class_ids), (size,), generator=generator)]
    return torch.nn.functional.normalize(points, dim=1), labels


def slow(points, labels, class_ids, proxies, alpha, delta):
    directions = proxies / proxies.norm(dim=1, keepdim=True)
    pull, push, present = 0.0, 0.0, 0
    for row, class_id in enumerate(class_ids):
        cosines = (points @ directions[row]).tolist()
        own = [s for s, label in zip(cosines, labels, strict=True) if label == class_id]
        others = [s for s, label in zip(cosines, labels, strict=True) if label != class_id]
        present += bool(own)
        pull += math.log(1 + sum(math.exp(-alpha * (s - delta)) for s in own)) if own else 0.0
        push += math.log(1 + sum(math.exp(alpha * (s + delta)) for s in others))
    return pull / present + push / len(class_ids)


@pytest.mark.parametrize("seed", range(5))
def test_the_loss_is_its_formula_also_for_classes_missing_from_the_batch(seed):
    class_ids = torch.tensor([2, 30, 31, 47, 90])
    torch.manual_seed(seed)
    loss = ProxyAnchorLoss(class_ids, 4, alpha=8.0, delta=0.1).double()
    points, labels = batch(seed, class_ids[:3])
    expected = slow(points, labels.tolist(), class_ids.tolist(), loss.proxies.detach(), 8.0, 0.1)
    assert loss(points, labels).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_loss_agrees_with_pytorch_metric_learning(seed):
    from pytorch_metric_learning.losses import ProxyAnchorLoss as Oracle

    torch.manual_seed(seed)
    ours, oracle = ProxyAnchorLoss(torch.arange(5), 4).double(), Oracle(5, 4, margin=0.1, alpha=32).double()
    oracle.proxies.data.copy_(ours.proxies.data)
    points, labels = batch(seed, torch.arange(4))
    assert ours(points, labels).item() == pytest.approx(oracle(points, labels).item(), rel=1e-6)


def test_proxies_learn_where_their_classes_are():
    torch.manual_seed(0)
    points = torch.eye(3)
    loss = ProxyAnchorLoss(torch.tensor([5, 6, 7]), 3)
    optimiser = torch.optim.Adam(loss.parameters(), lr=0.1)
    for _ in range(60):
        optimiser.zero_grad()
        loss(points, torch.tensor([5, 6, 7])).backward()
        optimiser.step()
    assert (points @ loss.proxies.detach().T).argmax(dim=1).tolist() == [0, 1, 2]


def test_the_order_in_which_class_ids_are_given_does_not_matter():
    points, labels = batch(0, torch.tensor([4, 9]))
    values = []
    for class_ids in ([4, 9], [9, 4]):
        torch.manual_seed(1)
        values.append(ProxyAnchorLoss(torch.tensor(class_ids), 4).double()(points, labels).item())
    assert values[0] == values[1]


def test_a_label_of_another_task_is_refused():
    with pytest.raises(TrainingError, match="none of the classes"):
        ProxyAnchorLoss(torch.tensor([4, 9]), 2)(torch.eye(2), torch.tensor([4, 5]))


@pytest.mark.parametrize("class_ids", [[], [3, 3]])
def test_no_class_or_a_class_twice_is_refused(class_ids):
    with pytest.raises(SettingsError, match="each of them once"):
        ProxyAnchorLoss(torch.tensor(class_ids, dtype=torch.int64), 2)


def test_a_scale_of_zero_is_refused():
    with pytest.raises(SettingsError, match="above 0"):
        ProxyAnchorLoss(torch.tensor([1]), 2, alpha=0.0)
