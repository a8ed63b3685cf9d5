"""The networks that learn a task together."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from continual_dml.embedding.embedder import Embedder


@dataclass(frozen=True, slots=True, eq=False)
class Teachers:
    """What a member's earlier selves say of the task's images, computed once before training.

    ``old`` (N, D): embeddings by the previous model; ``virtual``: one (N, D) per generation before that;
    ``class_means`` (C, D): the previous model's mean embeddings of the classes learned so far. Unit length.
    """

    old: NDArray[np.float32] | None = None
    virtual: tuple[NDArray[np.float32], ...] = ()
    class_means: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One network f, the specialist f_new that learns beside it (or None), and its teachers."""

    model: Embedder
    specialist: Embedder | None = None
    teachers: Teachers = field(default_factory=Teachers)

    @property
    def networks(self) -> list[Embedder]:
        """The networks that are trained."""
        return [self.model] if self.specialist is None else [self.model, self.specialist]
