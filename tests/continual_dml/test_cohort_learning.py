"""Cohorts in training: what their members share, what they do not, and when each one moves."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from continual_dml.embedding.cohort import build_member, restore_members
from continual_dml.embedding.embedder import Embedder, embedder_state
from continual_dml.embedding.precision import Compute
from continual_dml.errors import GalleryError
from continual_dml.ports import SilentListener
from continual_dml.records import LabelledImages
from continual_dml.settings import (
    LOSSES,
    CohortSettings,
    ModelSettings,
    SelfDistillationSettings,
    TrainingSettings,
)
from continual_dml.strategies.forward import ForwardPass
from continual_dml.strategies.hooks import StepHooks
from continual_dml.strategies.job import TrainingJob
from continual_dml.strategies.members import Member
from continual_dml.strategies.prefetch import PixelBatch
from continual_dml.strategies.recipes import Recipe
from continual_dml.strategies.training import train

CPU = Compute(torch.device("cpu"), bf16=False)
MODEL = ModelSettings(backbone="conv4", pretrained=False, embedding_dim=8, image_side_pixels=16, cohort=3)
LABELS = np.repeat(np.arange(3), 4)
Weights = Mapping[str, np.ndarray]


def coloured(side: int = 20) -> LabelledImages:
    """Red numbers the image, green grows from left to right."""
    pixels = np.zeros((len(LABELS), side, side, 3), dtype=np.uint8)
    pixels[..., 0] = (20 * np.arange(len(LABELS)))[:, None, None]
    pixels[..., 1] = 10 * np.arange(side)
    return LabelledImages(pixels, LABELS.astype(np.int64))


def networks(count: int = 2) -> list[Embedder]:
    return [build_member(MODEL, None, number, seed=3) for number in range(count)]


def job(models: list[Embedder], images: LabelledImages | None = None, **training: Any) -> TrainingJob:
    settings = TrainingSettings(
        **{"steps": 4, "batch_categories": 3, "images_per_category": 3, "flip": False, **training}
    )
    members = tuple(Member(model) for model in models)
    return TrainingJob("toy", members, images or coloured(), Recipe(), settings, seed=11)


def trained(models: list[Embedder], hooks: StepHooks | None = None, **training: Any) -> list[Weights]:
    train(job(models, **training), CPU, SilentListener(), hooks)
    return [embedder_state(model) for model in models]


def same(one: Weights, other: Weights) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)


def watched(models: list[Embedder]) -> list[list[torch.Tensor]]:
    """Return a list for each model that fills with what it looks at."""
    seen: list[list[torch.Tensor]] = [[] for _ in models]
    for model, views in zip(models, seen, strict=True):
        model.register_forward_pre_hook(lambda _, inputs, views=views: views.append(inputs[0]))
    return seen


def test_members_start_alike_in_what_is_pretrained_and_apart_in_their_projections() -> None:
    pretrained = {name: value.numpy() for name, value in networks(1)[0].backbone.state_dict().items()}
    first, second = (build_member(MODEL, pretrained, number, seed=3) for number in range(2))
    for one, other in zip(first.backbone.parameters(), second.backbone.parameters(), strict=True):
        assert torch.equal(one, other)
    assert not torch.allclose(first.projection.weight, second.projection.weight)
    alone = build_member(replace(MODEL, cohort=1), pretrained, 0, seed=3)
    assert torch.equal(alone.projection.weight, first.projection.weight)


def test_without_seeds_of_their_own_members_start_equal_and_learn_apart_by_their_views() -> None:
    model = replace(MODEL, cohort_own_seeds=False)
    models = [build_member(model, None, number, seed=3) for number in range(2)]
    assert same(*(embedder_state(member) for member in models))
    assert not same(*trained(models, cohort=CohortSettings()))


def test_own_views_are_other_crops_of_the_same_images() -> None:
    models = networks()
    seen = watched(models)
    trained(models, cohort=CohortSettings(peer_decay=0.0))
    for one, other in zip(*seen, strict=True):
        assert torch.allclose(one[:, 0], other[:, 0], atol=1e-5), "red says which image it is"
        assert not torch.allclose(one[:, 1], other[:, 1]), "green says which crop"


def test_without_own_views_all_members_see_the_same_crop() -> None:
    models = networks()
    seen = watched(models)
    trained(models, cohort=CohortSettings(own_views=False, peer_decay=0.0))
    assert len(seen[0]) == len(seen[1]) == 4
    assert all(torch.equal(one, other) for one, other in zip(*seen, strict=True))


@pytest.mark.parametrize("loss", ["multi-similarity", "proxy-anchor"])
def test_without_transfer_and_with_one_view_a_member_learns_what_it_would_learn_alone(loss: str) -> None:
    # Of losses with weights or a sampling miner this holds for the first member: the second one's are drawn
    # after the first one's. With views of their own no member does, because views and batches come from one
    # source of chance.
    cohort = CohortSettings(transfer=0.0, own_views=False)
    together = trained(networks(), loss=loss, cohort=cohort)
    assert same(together[0], trained([networks()[0]], loss=loss)[0])
    if loss == "multi-similarity":
        assert same(together[1], trained([networks()[1]], loss=loss)[0])
    taught = trained(networks(), loss=loss, cohort=CohortSettings(own_views=False))
    assert not same(together[0], taught[0])


def test_cohort_settings_do_not_matter_to_a_network_alone() -> None:
    unusual = CohortSettings(
        transfer=50.0,
        ramp=0.9,
        relation="cosine",
        penalty="l1",
        own_views=False,
        peer_decay=0.0,
        update_gap=3,
    )
    assert same(*(trained(networks(1), cohort=cohort)[0] for cohort in (CohortSettings(), unusual)))


class _Recorder(StepHooks):
    """Notes after each step which members moved, and which have a state in the optimiser."""

    def __init__(self) -> None:
        self.moved: list[list[bool]] = []
        self.has_state: list[list[bool]] = []

    def before_training(self, job: TrainingJob, optimiser: torch.optim.Optimizer, loss: nn.Module) -> None:
        self._models, self._optimiser = [member.model for member in job.members], optimiser
        self._last = self._weights()

    def after_update(self) -> bool:
        now = self._weights()
        self.moved.append([not same(a, b) for a, b in zip(self._last, now, strict=True)])
        self._last = now
        self.has_state.append(
            [any(p in self._optimiser.state for p in model.parameters()) for model in self._models]
        )
        return True

    def _weights(self) -> list[Weights]:
        return [{n: p.detach().numpy().copy() for n, p in m.named_parameters()} for m in self._models]


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_a_member_moves_only_in_the_steps_where_it_is_due(decay: float) -> None:
    recorder = _Recorder()
    cohort = CohortSettings(update_gap=1, peer_decay=decay)
    trained(networks(3), recorder, steps=6, cohort=cohort)
    assert recorder.moved == [
        [True, False, False],
        [True, True, False],
        [True, False, True],
        [True, True, False],
        [True, False, False],
        [True, True, True],
    ]
    assert recorder.has_state[0] == [True, False, False]
    assert recorder.has_state[1] == [True, True, False]
    assert recorder.has_state[2] == [True, True, True]


@pytest.mark.parametrize(("decay", "looks"), [(0.0, 4), (0.9, 2)])
def test_a_member_that_is_not_due_looks_only_where_it_is_a_peer(decay: float, looks: int) -> None:
    models = networks()
    seen = watched(models)
    slow_looks = 4 if decay else 0  # a copy of the second member is the first one's peer at every step
    trained(models, cohort=CohortSettings(update_gap=1, peer_decay=decay))
    assert len(seen[1]) == looks + slow_looks


def terms_of(settings: CohortSettings, steps: int) -> list[float]:
    """Return the cohort's term at each step while weights and views stay as they are."""
    work = job(networks(), coloured(side=16), steps=steps, cohort=settings)
    losses = [[_Nothing()], [_Nothing()]]
    for member in work.members:
        member.model.train()
    forward = ForwardPass(work, losses, CPU, np.random.default_rng(0), StepHooks())
    rows = np.arange(len(LABELS))
    images = PixelBatch(rows, torch.from_numpy(work.images.pixels[rows]))
    return [float(forward.terms(step, images)["cohort"].detach()) for step in range(steps)]


class _Nothing(nn.Module):
    """A metric loss of 0."""

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return embeddings.sum() * 0


@pytest.mark.parametrize(
    ("ramp", "shares"),
    [
        (0.5, [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]),
        (0.0, [1] * 8),
        (0.1, [1] * 8),
        (1.0, [n / 8 for n in range(1, 9)]),
    ],
)
def test_the_transfer_is_switched_on_over_a_share_of_the_steps(ramp: float, shares: list[float]) -> None:
    whole = terms_of(CohortSettings(ramp=0.0, peer_decay=0.0), 8)
    assert whole == pytest.approx([whole[0]] * 8, rel=1e-4)
    found = terms_of(CohortSettings(ramp=ramp, peer_decay=0.0), 8)
    assert found == pytest.approx([share * whole[0] for share in shares], rel=1e-4)
    twice = 2 * CohortSettings().transfer
    doubled = terms_of(CohortSettings(ramp=ramp, peer_decay=0.0, transfer=twice), 8)
    assert doubled == pytest.approx([2 * value for value in found], rel=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("teacher", ["snapshot", "memory"])
def test_every_loss_stays_finite_in_a_cohort_that_learns_from_its_earlier_self(
    loss: str, teacher: str
) -> None:
    models = networks()
    before = [embedder_state(model) for model in models]
    distillation = SelfDistillationSettings(kind="obd", teacher=teacher, renew_steps=1)
    after = trained(models, loss=loss, steps=3, self_distillation=distillation)
    for old, new in zip(before, after, strict=True):
        assert all(np.isfinite(value).all() for value in new.values())
        assert not np.array_equal(old["projection.weight"], new["projection.weight"])


def test_layers_that_draw_from_chance_draw_the_same_in_every_run() -> None:
    def with_dropout() -> Embedder:
        model = networks(1)[0]
        model.backbone = nn.Sequential(model.backbone, nn.Dropout(0.5))
        return model

    state = torch.get_rng_state()
    first = trained([with_dropout()])[0]
    assert torch.equal(torch.get_rng_state(), state), "the global source of chance is left alone"
    torch.rand(1)
    assert same(first, trained([with_dropout()])[0])


def test_another_number_of_networks_than_the_settings_say_is_refused() -> None:
    weights = [embedder_state(model) for model in networks(3)]
    assert len(restore_members(MODEL, weights)) == 3
    with pytest.raises(GalleryError, match=r"has 2 networks, .* cohort = 3; was cdml\.toml edited"):
        restore_members(MODEL, weights[:2])
