"""What each task did to the feature space, kept step by step, and the way from any birth to now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.memory.drift import AffineMap
from continual_dml.memory.drift_doubt import DriftDoubt

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class DriftStep:
    """One task's drift: the map, and how far to trust it where."""

    map: AffineMap
    doubt: DriftDoubt

    def to_arrays(self) -> Arrays:
        """Return the step as named arrays, for storage."""
        return {
            "matrix": np.asarray(self.map.matrix, dtype=np.float32),
            "offset": np.asarray(self.map.offset, dtype=np.float32),
            **self.doubt.to_arrays(),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> DriftStep:
        """Return the step that :meth:`to_arrays` gave, in its precision: many of them lie in memory."""
        return cls(AffineMap(arrays["matrix"], arrays["offset"]), DriftDoubt.from_arrays(arrays))


@dataclass(frozen=True, slots=True, eq=False)
class DriftMaps:
    """``steps[g]`` carries what the model before generation g said into the space of generation g's model.

    A generation that left the model as it was has no step. The way from a birth generation is all later
    steps, one after the other: features are carried from their birth, never through carried vectors.
    """

    steps: Mapping[int, DriftStep]

    def advanced(self, step: DriftStep, generation: int) -> DriftMaps:
        """Return the maps after one more task, whose drift ``step`` leads to ``generation``."""
        return DriftMaps({**self.steps, generation: step})

    def since(self, birth: int) -> list[DriftStep]:
        """Return the steps after generation ``birth``, oldest first."""
        return [self.steps[generation] for generation in sorted(self.steps) if generation > birth]

    def from_birth(self, birth: int, dimension: int) -> AffineMap:
        """Return the one map for features (d,) born in ``birth``; the identity for the live generation."""
        return self.then(AffineMap.identity(dimension), [birth])[birth]

    def then(self, last: AffineMap, births: Iterable[int]) -> dict[int, AffineMap]:
        """Return for each birth generation all its steps and then ``last``, folded into one map.

        Folded from the end, so that one product per step serves all births; with a ``last`` that maps to few
        dimensions the products are small.
        """
        folded: dict[int, AffineMap] = {}
        reached = last
        left = sorted(self.steps, reverse=True)
        for birth in sorted(set(births), reverse=True):
            while left and left[0] > birth:
                reached = reached.after(self.steps[left.pop(0)].map)
            folded[birth] = reached
        return folded

    def needed_for(self, births: Iterable[int]) -> DriftMaps:
        """Return the maps without steps that no item of these birth generations has to go."""
        oldest = min(births, default=max(self.steps, default=0))
        return DriftMaps({generation: step for generation, step in self.steps.items() if generation > oldest})
