"""A batch in chunks is the whole batch, for every term of the objective, up to rounding."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from continual_dml.embedding.embedder import build_embedder
from continual_dml.embedding.precision import Compute
from continual_dml.ports import SilentListener
from continual_dml.settings import CohortSettings, SelfDistillationSettings
from continual_dml.strategies.chunks import embedded
from continual_dml.strategies.learner import Learner
from tests.continual_dml.test_learner import CPU, SETTINGS, images

MODEL = replace(SETTINGS.model, freeze_batch_norm="yes")


def network(dropout: float = 0.0):
    made = build_embedder(MODEL, None, seed=3)
    made.backbone.pool = nn.Sequential(made.backbone.pool, nn.Dropout(dropout))
    return made.train()


def spread(embeddings: torch.Tensor) -> torch.Tensor:
    """A loss that every image's gradient depends on all others in."""
    return (embeddings @ embeddings.T).exp().sum()


def gradients(made, loss):
    loss.backward()
    return [weight.grad for weight in made.parameters() if weight.grad is not None]


def explicit(made, view, chunk_images):
    """The three passes written out: embeddings, the gradient of the loss, the chunks once more."""
    states, parts = [], []
    with torch.no_grad():
        for chunk in view.split(chunk_images):
            states.append(torch.get_rng_state())
            parts.append(made(chunk).embeddings)
    leaf = torch.cat(parts).requires_grad_()
    spread(leaf).backward()
    for chunk, state, gradient in zip(
        view.split(chunk_images), states, leaf.grad.split(chunk_images), strict=True
    ):
        torch.set_rng_state(state)
        made(chunk).embeddings.backward(gradient)
    return [weight.grad for weight in made.parameters() if weight.grad is not None]


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("chunk_images", [1, 4, 7])
def test_gradients_are_those_of_the_three_passes_written_out(chunk_images, dropout):
    one, other = network(dropout), network(dropout)
    view = torch.rand(10, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = gradients(one, spread(embedded(one, view, CPU, chunk_images)))
        torch.manual_seed(0)
        expected = explicit(other, view, chunk_images)
    assert len(found) == len(expected)
    for left, right in zip(found, expected, strict=True):
        assert torch.allclose(left, right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bf16", [False, True])
def test_gradients_are_those_of_the_whole_batch(bf16):
    compute, one = Compute(torch.device("cpu"), bf16=bf16), network()
    other = copy.deepcopy(one)
    view = torch.rand(10, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    found = gradients(one, spread(embedded(one, view, compute, 4)))
    expected = gradients(other, spread(embedded(other, view, compute, None)))
    for left, right in zip(found, expected, strict=True):
        assert (left - right).norm() <= (2e-2 if bf16 else 1e-4) * right.norm()


def test_no_more_images_than_a_chunk_go_through_the_network_at_once():
    made, sizes = network(), []
    made.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    view = torch.rand(10, 3, 16, 16)
    with torch.no_grad():
        assert embedded(made, view, CPU, 4).shape == (10, 8)
    assert sizes == [4, 4, 2]
    spread(embedded(made, view, CPU, 4)).backward()
    assert sorted(sizes[3:]) == [2, 2, 4, 4, 4, 4]


@pytest.mark.parametrize(
    ("case", "changes"),
    [
        ("specialist and old model", {}),
        ("discrepancy and soft labels", {"method": "mmd"}),
        ("peers and virtual features", {"method": "online-mutual-distillation"}),
        (
            "slow peers and a snapshot",
            {
                "cohort": CohortSettings(peer_decay=0.9),
                "self_distillation": SelfDistillationSettings(kind="psd", renew_steps=1),
            },
        ),
    ],
)
def test_a_task_learned_in_chunks_is_the_task_learned_whole(case, changes):
    settings = replace(
        SETTINGS,
        model=replace(MODEL, cohort=2 if "peers" in case else 1),
        training=replace(SETTINGS.training, steps=2, drift_strength=1.0, drift_views=0, **changes),
    )
    chunked = replace(settings, training=replace(settings.training, chunk_images=5))
    first = Learner(settings, None, CPU, SilentListener()).learn("first", images(0), None, 0).state
    new = images(4, classes=3, per_class=4)
    whole, parts = (
        Learner(each, None, CPU, SilentListener()).learn("second", new, first, 1)
        for each in (settings, chunked)
    )
    for name, value in whole.loss_terms.items():
        assert parts.loss_terms[name] == pytest.approx(value, rel=1e-3, abs=1e-4)
    assert np.abs(parts.features - whole.features).max() < 1e-2 * np.abs(whole.features).max()
