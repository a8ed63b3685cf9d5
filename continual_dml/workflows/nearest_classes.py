"""Which classes a query is nearest to, by what is kept of each class: its mean feature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from continual_dml.ports import Artefacts
from continual_dml.settings import Settings
from continual_dml.strategies.heads import Head
from continual_dml.strategies.state import group_name


class NearClass(NamedTuple):
    """A class near a query.

    ``similarity``: cosine of the query and the embedding of the class's mean feature; ``images``: that the
    mean is of; ``moves``: how many drift maps have carried it since.
    """

    category_id: int
    similarity: float
    images: int
    moves: int


@dataclass(frozen=True, slots=True, eq=False)
class ClassPrototypes:
    """The embedding of the mean feature of each of C classes.

    ``class_ids``, ``counts``, ``moves`` (C,); ``vectors`` (C, D) at unit length.
    """

    class_ids: NDArray[np.int64]
    counts: NDArray[np.int64]
    moves: NDArray[np.int64]
    vectors: NDArray[np.float32]

    @classmethod
    def of(cls, artefacts: Artefacts, head: Head) -> ClassPrototypes:
        """Return those of a published generation and its live head.

        Raises:
            CorruptIndex: a file is missing or damaged.
        """
        cohort = Settings.from_dict(artefacts.config["settings"]).model.cohort
        members = [
            artefacts.read_tensors(f"{group_name('statistics', number)}.safetensors")
            for number in range(cohort)
        ]
        first = members[0]
        means = np.concatenate([member["means"] for member in members], axis=1)
        moves = first.get("moves", np.zeros(len(first["class_ids"]), dtype=np.int64))
        return cls(first["class_ids"], first["counts"], moves, head(means))

    def nearest(self, vector: NDArray[np.float32], count: int) -> list[NearClass]:
        """Return the ``count`` classes nearest to a unit vector (D,), best first, the smaller id on ties."""
        similarities = self.vectors @ vector
        order = np.lexsort((self.class_ids, -similarities))[:count]
        return [
            NearClass(
                int(self.class_ids[row]),
                float(similarities[row]),
                int(self.counts[row]),
                int(self.moves[row]),
            )
            for row in order
        ]
