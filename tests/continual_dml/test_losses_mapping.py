import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.errors import UnknownChoice
from continual_dml.losses import LOSSES, make_loss
from continual_dml.losses.triplet import TripletLoss
from continual_dml.miners import MINERS
from continual_dml.settings import LOSSES as LOSS_NAMES
from continual_dml.settings import TRIPLET_MINERS, TrainingSettings

CLASS_IDS = torch.tensor([3, 7, 12, 40])


def loss_named(name, miner="batch-hard", dimension=5):
    torch.manual_seed(0)  # proxies are drawn
    return make_loss(TrainingSettings(loss=name, miner=miner), CLASS_IDS, dimension)


def random_batch(seed, size=12, dimension=5, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(size, dimension, generator=generator, dtype=dtype)
    labels = CLASS_IDS[torch.randint(0, len(CLASS_IDS), (size,), generator=generator)]
    return torch.nn.functional.normalize(points, dim=1), labels


VARIANTS = [
    (name, miner)
    for name in LOSS_NAMES
    for miner in (TRIPLET_MINERS if name == "triplet" else ("batch-hard",))
]
every_loss = pytest.mark.parametrize(("name", "miner"), VARIANTS)


def test_the_names_are_those_of_the_settings():
    assert set(LOSSES) == set(LOSS_NAMES)


def test_an_unknown_loss_is_answered_with_the_closest_name():
    chosen = TrainingSettings()
    object.__setattr__(chosen, "loss", "tripplet")  # the settings themselves would refuse it
    with pytest.raises(UnknownChoice, match="triplet"):
        make_loss(chosen, CLASS_IDS, 5)


@pytest.mark.parametrize("miner", TRIPLET_MINERS)
def test_the_triplet_loss_mines_as_the_settings_say(miner):
    loss = make_loss(dataclasses.replace(TrainingSettings(loss="triplet"), miner=miner), CLASS_IDS, 5)
    assert isinstance(loss, TripletLoss)
    assert loss.miner is MINERS[miner]


@every_loss
def test_a_loss_is_a_finite_scalar_with_finite_gradients(name, miner):
    points, labels = random_batch(1)
    points.requires_grad_()
    value = loss_named(name, miner)(points, labels)
    value.backward()
    assert value.shape == ()
    assert value.item() > 0
    assert points.grad.isfinite().all()
    assert points.grad.abs().sum() > 0


@every_loss
def test_gradients_stay_finite_where_all_images_have_one_embedding(name, miner):
    points = torch.nn.functional.normalize(torch.ones(8, 5), dim=1).requires_grad_()
    value = loss_named(name, miner)(points, CLASS_IDS.repeat(2))
    value.backward()
    assert value.isfinite()
    assert points.grad.isfinite().all()


@every_loss
@pytest.mark.parametrize("labels", [[3, 7, 12, 40], [3, 3, 3, 3], [3]])
def test_a_batch_of_single_images_or_of_one_class_can_be_trained_on(name, miner, labels):
    points = random_batch(2, size=len(labels))[0].requires_grad_()
    value = loss_named(name, miner)(points, torch.tensor(labels))
    value.backward()
    assert value.isfinite()
    assert points.grad.isfinite().all()


@pytest.mark.parametrize(("name", "miner"), [v for v in VARIANTS if v[0] in ("triplet", "multi-similarity")])
@pytest.mark.parametrize("labels", [[3, 3, 3], [3, 7, 12]])
def test_a_batch_without_a_triplet_costs_a_zero_that_still_has_a_graph(name, miner, labels):
    points = random_batch(3, size=3)[0].requires_grad_()
    value = loss_named(name, miner)(points, torch.tensor(labels))
    value.backward()
    assert value.item() == 0
    assert points.grad.abs().sum() == 0


@every_loss
def test_half_precision_embeddings_are_computed_in_single_precision(name, miner):
    points, labels = random_batch(4)
    half = points.bfloat16()
    value = loss_named(name, miner)(half, labels)
    assert value.dtype == torch.float32
    assert torch.equal(value, loss_named(name, miner)(half.float(), labels))


@every_loss
def test_an_embedding_that_is_not_a_number_shows_in_the_loss(name, miner):
    points, labels = random_batch(5)
    points[2, 1] = torch.nan
    assert loss_named(name, miner)(points, labels).isnan()


@every_loss
def test_the_gradient_is_that_of_finite_differences(name, miner):
    points, labels = random_batch(6, size=7, dtype=torch.float64)
    loss = loss_named(name, miner).double()
    assert torch.autograd.gradcheck(lambda values: loss(values, labels), points.requires_grad_())


@every_loss
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_a_batch_does_not_matter(name, miner, seed):
    points, labels = random_batch(seed)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed + 1))
    loss = loss_named(name, miner)
    assert torch.allclose(loss(points, labels), loss(points[order], labels[order]), atol=1e-5)


@pytest.mark.parametrize(("name", "miner"), [variant for variant in VARIANTS if variant[0] != "proxy-anchor"])
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_a_rotation_of_all_embeddings_does_not_matter(name, miner, seed):
    points, labels = random_batch(seed, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed + 1)
    rotation = torch.linalg.qr(torch.randn(5, 5, generator=generator, dtype=torch.float64))[0]
    loss = loss_named(name, miner)
    assert torch.allclose(loss(points, labels), loss(points @ rotation, labels), atol=1e-6)


@every_loss
def test_only_the_partition_by_labels_matters_and_not_their_numbers(name, miner):
    points, labels = random_batch(7)
    renamed = TrainingSettings(loss=name, miner=miner)
    torch.manual_seed(0)
    other = make_loss(renamed, CLASS_IDS + 1000, 5)
    assert torch.equal(loss_named(name, miner)(points, labels), other(points, labels + 1000))
