"""Peers: what the members of a cohort learn from each other."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from continual_dml.embedding.embedder import Embedder
from continual_dml.embedding.precision import Compute
from continual_dml.settings import CohortSettings
from continual_dml.strategies.chunks import embedded


class Peers:
    """Gives each member the other members' embeddings of the batch, without gradient.

    With a ``peer_decay`` above 0 peers are slow copies of the members (temporal diversity), which look at the
    same view as their member does and follow it after each update::

        g <- decay g + (1 - decay) f

    Source: Diversified Mutual Learning for Deep Metric Learning (arXiv 2009.04170); docs/methods.md.

    Args:
        members: the networks that are trained.
        settings: of the cohort.
        chunk_images: see :func:`embedded`.
    """

    def __init__(
        self, members: Sequence[Embedder], settings: CohortSettings, chunk_images: int | None = None
    ) -> None:
        self._members = list(members)
        self._decay = settings.peer_decay
        self._chunk = chunk_images
        self._teach = len(self._members) > 1 and settings.transfer > 0
        slow = self._teach and self._decay > 0
        self._slow = [copy.deepcopy(member).requires_grad_(False) for member in members] if slow else []

    @property
    def are_members(self) -> bool:
        """Whether the members themselves are the peers, so that each has to look at every batch."""
        return self._teach and not self._slow

    def of_each(
        self, views: Sequence[Tensor], embeddings: Mapping[int, Tensor], compute: Compute
    ) -> list[tuple[Tensor, ...]]:
        """Return for each member the embeddings (B, D) of all other members; none where nothing is taught.

        Args:
            views: what each member sees of the batch: (B, 3, S, S), or what its frozen trunk made of that.
            embeddings: (B, D) what each member says of it, by its number; of all members where these
                :attr:`are_members`.
            compute: device and precision.
        """
        if not self._teach:
            return [() for _ in self._members]
        if self._slow:
            with torch.no_grad():
                pairs = zip(self._slow, views, strict=True)
                taught = [embedded(slow, view, compute, self._chunk) for slow, view in pairs]
        else:
            taught = [embeddings[number].detach() for number in range(len(self._members))]
        return [
            tuple(taught[other] for other in range(len(taught)) if other != own) for own in range(len(taught))
        ]

    def state(self) -> dict[str, Tensor]:
        """Return the weights of the slow copies, by name."""
        return {
            f"{number}.{name}": value
            for number, slow in enumerate(self._slow)
            for name, value in slow.state_dict().items()
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to what :meth:`state` returned."""
        for number, slow in enumerate(self._slow):
            slow.load_state_dict({name: state[f"{number}.{name}"] for name in slow.state_dict()})

    @torch.no_grad()
    def follow(self) -> None:
        """Move the slow copies towards their members; call it after each update.

        Statistics of batch norm stay behind: while training it normalises by the batch, or they never move.
        """
        for slow, member in zip(self._slow, self._members, strict=False):
            for weight, live in zip(slow.parameters(), member.parameters(), strict=True):
                weight.lerp_(live, 1 - self._decay)
