"""A workspace's model as a PyTorch module."""

import numpy as np
import pytest
import torch

import cdml
from continual_dml.embedding.embedder import build_embedder
from continual_dml.memory.discriminant_head import DiscriminantHead
from continual_dml.settings import ModelSettings
from continual_dml.strategies.heads import EnsembleHead, TrainedHead
from continual_dml.strategies.served import ServedModel

NEAR = 1e-5


@pytest.fixture
def images(learned):
    return sorted(learned.latin.rglob("*.png"))[:3] + sorted(learned.greek.rglob("*.png"))[:2]


def test_its_vectors_are_those_that_images_are_searched_with(learned, images):
    embedder = learned.workspace.embedder()
    searched = learned.workspace.embed(images)
    assert np.abs(embedder.embed(images) - searched).max() < NEAR
    assert (embedder.dimension, embedder.generation) == (16, 2)
    assert (embedder.image_side, embedder.stored_side) == (32, 36)


def test_batches_are_bytes_or_floats_of_stored_or_of_network_size(learned, images):
    embedder = learned.workspace.embedder()
    stored = embedder.preprocess(images)
    assert (stored.shape, stored.dtype) == ((5, 3, 36, 36), torch.uint8)
    vectors = embedder(stored)
    assert torch.allclose(vectors.norm(dim=1), torch.ones(5))
    for batch in (stored / 255.0, stored[:, :, 2:34, 2:34], stored[:, :, 2:34, 2:34] / 255.0):
        assert torch.allclose(embedder(batch), vectors, atol=NEAR)


def test_a_batch_of_another_kind_is_said_to_be_one(learned):
    embedder = learned.workspace.embedder()
    for batch in (torch.zeros(1, 3, 40, 40), torch.zeros(3, 36, 36), torch.zeros(1, 36, 36, 3)):
        with pytest.raises(cdml.StreamError, match=r"takes \(B, 3, S, S\) with S 36 or 32"):
            embedder(batch)
    with pytest.raises(cdml.StreamError, match=r"a batch of torch\.int64"):
        embedder(torch.zeros(1, 3, 36, 36, dtype=torch.int64))
    assert embedder.embed([]).shape == (0, 16)
    with pytest.raises(cdml.UnknownChoice, match="unknown device 'tpu'"):
        learned.workspace.embedder("tpu")


def test_it_is_a_module_like_others(learned, images):
    embedder = learned.workspace.embedder()
    assert not embedder.training
    assert not any(parameter.requires_grad for parameter in embedder.parameters())
    copy = cdml.Workspace.open(learned.workspace.path).embedder()
    copy.load_state_dict(embedder.state_dict())
    batch = (embedder.preprocess(images) / 255.0).requires_grad_()
    embedder(batch)[:, 0].sum().backward()
    assert torch.isfinite(batch.grad).all()
    assert batch.grad.abs().sum() > 0


@pytest.mark.parametrize("square_root", [True, False])
@pytest.mark.parametrize("kind", ["trained", "statistics", "cohort"])
def test_every_head_is_the_one_that_searches_use(kind, square_root):
    from continual_dml.embedding.extract import extract_each, side_by_side
    from continual_dml.embedding.precision import Compute

    settings = ModelSettings(
        backbone="conv4",
        pretrained=False,
        embedding_dim=6,
        image_side_pixels=16,
        feature_map="sqrt" if square_root else "plain",
    )
    random = np.random.default_rng(0)
    members = [build_embedder(settings, None, seed).eval() for seed in range(2 if kind == "cohort" else 1)]
    width = members[0].feature_dim
    trained = TrainedHead(random.normal(size=(6, width)).astype(np.float32), square_root)
    statistics = DiscriminantHead(random.normal(size=(width, 6)), random.normal(size=width))
    joined = EnsembleHead((trained, statistics), (width, width), random.normal(size=(12, 5)))
    head = {"trained": trained, "statistics": statistics, "cohort": joined}[kind]
    squares = random.integers(0, 256, (4, 18, 18, 3), dtype=np.uint8)
    features = side_by_side(extract_each(members, squares, Compute(torch.device("cpu"), bf16=False)))

    served = ServedModel(members, head)
    vectors, seen = served(torch.from_numpy(squares))

    assert np.allclose(seen.numpy(), features, atol=1e-4)
    assert np.allclose(vectors.numpy(), head(features), atol=NEAR)
    images = torch.zeros(1, 18, 18, 3, requires_grad=True)  # of these some features are 0
    served(images)[0].sum().backward()
    assert torch.isfinite(images.grad).all()
