"""The networks of the generation that is being built, and what they make of features stored earlier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from continual_dml.embedding.embedder import Embedder
from continual_dml.embedding.precision import Compute
from continual_dml.ports import Shards
from continual_dml.records import VectorState
from continual_dml.strategies.carrying import Carrying
from continual_dml.strategies.heads import Head
from continual_dml.strategies.state import LearnerState


@dataclass(frozen=True, slots=True, eq=False)
class LiveModel:
    """What it takes to embed images now, and to carry stored features forward to now.

    ``generation``: that is being built; ``carrying`` is of ``state``. ``moved`` is False when the weights are
    those of the generation before: features that were fresh then still are. ``shards`` keep what it has
    embedded already.
    """

    generation: int
    embedders: Sequence[Embedder]
    head: Head
    state: LearnerState
    carrying: Carrying
    compute: Compute
    moved: bool = True
    shards: Shards | None = None

    def state_of(self, before: VectorState) -> VectorState:
        """Return the state of a part's vectors once they were carried forward: fresh where nothing moved."""
        exact = not self.moved and before is VectorState.FRESH
        return VectorState.FRESH if exact else VectorState.PROJECTED
