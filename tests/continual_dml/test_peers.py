"""Peers: each member is taught by all others, and teaches without being changed by it."""

import copy

import pytest
import torch

from continual_dml.distillation.cohort_relations import relational_transfer
from continual_dml.embedding.cohort import build_member
from continual_dml.embedding.embedder import Embedder
from continual_dml.embedding.precision import Compute
from continual_dml.settings import CohortSettings, ModelSettings
from continual_dml.strategies.peers import Peers

CPU = Compute(torch.device("cpu"), bf16=False)
MODEL = ModelSettings(backbone="conv4", pretrained=False, embedding_dim=4, image_side_pixels=16, cohort=3)


def cohort(members: int) -> list[Embedder]:
    return [build_member(MODEL, None, number, seed=5).train() for number in range(members)]


def views(count: int) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return [torch.randn(6, 3, 16, 16, generator=random) for _ in range(count)]


def said(members: list[Embedder], seen: list[torch.Tensor]) -> dict[int, torch.Tensor]:
    return {number: members[number](view).embeddings for number, view in enumerate(seen)}


def test_each_member_is_taught_by_all_others_in_order() -> None:
    members, seen = cohort(3), views(3)
    embeddings = said(members, seen)
    taught = Peers(members, CohortSettings(peer_decay=0.0)).of_each(seen, embeddings, CPU)
    expected = [(1, 2), (0, 2), (0, 1)]
    for peers, numbers in zip(taught, expected, strict=True):
        assert all(torch.equal(peer, embeddings[n]) for peer, n in zip(peers, numbers, strict=True))


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_what_one_member_learns_from_another_never_reaches_that_one(decay: float) -> None:
    members, seen = cohort(2), views(2)
    peers = Peers(members, CohortSettings(peer_decay=decay))
    embeddings = said(members, seen)
    relational_transfer(embeddings[0], peers.of_each(seen, embeddings, CPU)[0][0]).backward()
    assert members[0].projection.weight.grad is not None
    assert members[0].projection.weight.grad.abs().sum() > 0
    assert all(weight.grad is None for weight in members[1].parameters())


def test_slow_peers_follow_by_the_formula_and_look_at_their_members_view() -> None:
    members, seen = cohort(2), views(2)
    peers = Peers(members, CohortSettings(peer_decay=0.75))
    mean = copy.deepcopy(members[1])
    for step in range(3):
        with torch.no_grad():
            for weight in members[1].parameters():
                weight.add_(0.1 * (step + 1))
            for slow, live in zip(mean.parameters(), members[1].parameters(), strict=True):
                slow.copy_(0.75 * slow + 0.25 * live)
            expected = mean(seen[1]).embeddings
        peers.follow()
        (taught,) = peers.of_each(seen, {}, CPU)[0]
        assert torch.allclose(taught, expected, atol=1e-6), step
        assert not torch.allclose(taught, members[1](seen[1]).embeddings, atol=1e-3)


@pytest.mark.parametrize(
    ("members", "settings"),
    [(1, CohortSettings()), (2, CohortSettings(transfer=0.0))],
    ids=["alone", "no term"],
)
def test_where_nothing_is_taught_nobody_is_asked(members: int, settings: CohortSettings) -> None:
    peers = Peers(cohort(members), settings)
    assert peers.of_each(views(members), {}, CPU) == [()] * members
    assert not peers.are_members


def test_members_have_to_look_only_where_they_are_the_peers() -> None:
    members = cohort(2)
    assert Peers(members, CohortSettings(peer_decay=0.0)).are_members
    assert not Peers(members, CohortSettings(peer_decay=0.9)).are_members


def test_following_leaves_the_members_alone() -> None:
    members = cohort(2)
    before = [weight.detach().clone() for weight in members[0].parameters()]
    peers = Peers(members, CohortSettings(peer_decay=0.5))
    peers.follow()
    assert all(torch.equal(a, b) for a, b in zip(before, members[0].parameters(), strict=True))
    assert all(weight.requires_grad for weight in members[0].parameters())
