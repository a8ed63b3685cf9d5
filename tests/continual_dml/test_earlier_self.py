"""A network's earlier self: what it targets, when it is renewed, and what it costs."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from continual_dml.distillation.batch_diffusion import diffused_target
from continual_dml.distillation.self_distillation import psd_target
from continual_dml.embedding.embedder import Embedder, build_embedder
from continual_dml.embedding.precision import Compute
from continual_dml.settings import ModelSettings, SelfDistillationSettings
from continual_dml.strategies.earlier_self import EarlierSelf

CPU = Compute(torch.device("cpu"), bf16=False)
MODEL = ModelSettings(backbone="conv4", pretrained=False, embedding_dim=4, image_side_pixels=16)
ROWS = torch.arange(4)


def network() -> Embedder:
    return build_embedder(MODEL, None, seed=1).train()


def view(seed: int) -> torch.Tensor:
    return torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def unit(seed: int) -> torch.Tensor:
    return normalize(torch.randn(4, 4, generator=torch.Generator().manual_seed(seed)), dim=1)


def earlier_self(model: Embedder, steps: int, pass_steps: int = 1000, **knobs: object) -> EarlierSelf:
    settings = SelfDistillationSettings(**{"kind": "psd", "temperature": 0.5, **knobs})
    return EarlierSelf(model, settings, steps, pass_steps, images=8, compute=CPU)


def change(model: nn.Module) -> None:
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(2)))


def targets(teacher: EarlierSelf, model: Embedder, steps: range) -> list[torch.Tensor | None]:
    """Return the target of each step; the model changes after it."""
    found = []
    for step in steps:
        seen = view(step)
        found.append(teacher.relations(step, seen, ROWS, model(seen).embeddings))
        change(model)
    return found


def test_the_snapshot_is_the_student_at_the_end_of_the_period_before_on_the_same_view() -> None:
    model = network()
    teacher = earlier_self(model, steps=6, renew_steps=2)
    reference, snapshots = copy.deepcopy(model), {}
    for step in range(6):
        snapshots[step] = copy.deepcopy(reference)  # the student before each step
        change(reference)
    for step, target in enumerate(targets(teacher, model, range(6))):
        if step < 2:
            assert target is None
            continue
        frozen = snapshots[2 * (step // 2)]
        with torch.no_grad():
            assert target is not None
            assert torch.allclose(target, psd_target(frozen(view(step)).embeddings, 0.5), atol=1e-6), step


@pytest.mark.parametrize("symmetric", [False, True])
def test_the_target_of_obd_is_the_diffused_one(symmetric: bool) -> None:
    model = network()
    knobs = {"diffusion": 0.6, "diffusion_temperature": 0.2, "symmetric": symmetric}
    teacher = earlier_self(model, 2, kind="obd", renew_steps=1, **knobs)
    teacher.relations(0, view(0), ROWS, unit(0))
    target = teacher.relations(1, view(1), ROWS, unit(0))
    assert target is not None
    with torch.no_grad():
        expected = diffused_target(model(view(1)).embeddings, 0.5, 0.6, 0.2, symmetric=symmetric)
    assert torch.allclose(target, expected, atol=1e-6)
    assert torch.allclose(target.sum(dim=1), torch.ones(4), atol=1e-5)


@pytest.mark.parametrize(
    ("steps", "pass_steps", "renew", "period"),
    [
        (100, 10, None, 10),  # one pass over the images
        (100, 60, None, 25),  # a pass is longer than a quarter of the task
        (3, 60, None, 1),
        (100, 10, 40, 40),
    ],
)
def test_a_period_is_a_pass_a_quarter_of_the_task_or_what_is_asked_for(
    steps: int, pass_steps: int, renew: int | None, period: int
) -> None:
    teacher = earlier_self(network(), steps, pass_steps, renew_steps=renew)
    ramps = [teacher.ramp(step) for step in range(steps)]
    periods = -(-steps // period)
    assert ramps == [(step // period) / periods for step in range(steps)]  # e / E, e from 0
    assert ramps[0] == 0
    assert ramps[-1] == (periods - 1) / periods


def test_the_target_is_no_path_for_gradients() -> None:
    model = network()
    for kind in ("snapshot", "memory"):
        teacher = earlier_self(model, 3, renew_steps=1, teacher=kind)
        for target in targets(teacher, model, range(3))[1:]:
            assert target is not None
            assert not target.requires_grad


def test_the_memory_holds_what_was_said_when_an_image_was_seen_last_before_the_period() -> None:
    teacher = earlier_self(network(), 6, renew_steps=2, teacher="memory")
    assert teacher.relations(0, view(0), torch.tensor([0, 1, 2, 3]), unit(0)) is None
    assert teacher.relations(1, view(0), torch.tensor([2, 3, 4, 5]), unit(1)) is None
    third = teacher.relations(2, view(0), torch.tensor([0, 2, 5, 7]), unit(2))
    remembered = torch.stack([unit(0)[0], unit(1)[0], unit(1)[3], unit(2)[3]])  # row 7 is new: itself
    assert third is not None
    assert torch.equal(third, psd_target(remembered, 0.5))
    fourth = teacher.relations(3, view(0), torch.tensor([0, 7, 1, 6]), unit(3))
    remembered = torch.stack([unit(0)[0], unit(3)[1], unit(0)[1], unit(3)[3]])  # step 2 is of this period
    assert fourth is not None
    assert torch.equal(fourth, psd_target(remembered, 0.5))
    fifth = teacher.relations(4, view(0), torch.tensor([0, 7, 1, 6]), unit(4))
    remembered = torch.stack([unit(3)[0], unit(3)[1], unit(3)[2], unit(3)[3]])
    assert fifth is not None
    assert torch.equal(fifth, psd_target(remembered, 0.5))


@pytest.mark.parametrize(("teacher", "passes"), [("memory", 0), ("snapshot", 4)])
def test_a_memory_costs_no_forward_pass_and_a_snapshot_one_after_the_first_period(
    teacher: str, passes: int
) -> None:
    model, calls = network(), []
    model.backbone.register_forward_hook(lambda *_: calls.append(1))  # copies of the model keep it
    earlier = earlier_self(model, 6, renew_steps=2, teacher=teacher)
    for step in range(6):
        earlier.relations(step, view(step), ROWS, unit(step))
    assert len(calls) == passes


@pytest.mark.parametrize("kind", ["snapshot", "memory"])
def test_a_student_that_is_updated_at_odd_steps_only_has_a_teacher_too(kind: str) -> None:
    model = network()
    teacher = earlier_self(model, 8, renew_steps=2, teacher=kind)
    found = targets(teacher, model, range(1, 8, 2))
    assert found[0] is None
    for step, target in zip((3, 5, 7), found[1:], strict=True):
        assert target is not None
        with torch.no_grad():
            own = psd_target(model(view(step)).embeddings, 0.5)
        assert not torch.allclose(target, own, atol=1e-4), "it is no teacher of itself"


def test_a_snapshot_leaves_the_student_as_it_is() -> None:
    model = network()
    before = copy.deepcopy(model.state_dict())
    teacher = earlier_self(model, 4, renew_steps=1)
    for step in range(3):
        teacher.relations(step, view(step), ROWS, unit(step))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(weight.requires_grad for weight in model.parameters())
