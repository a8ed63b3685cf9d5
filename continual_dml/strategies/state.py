"""What the learner keeps between tasks: weights, heads, class statistics and drift maps. Nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.memory.class_statistics import ClassStatistics
from continual_dml.memory.discriminant_head import DiscriminantHead
from continual_dml.memory.drift_maps import DriftMaps, DriftStep
from continual_dml.settings import Settings
from continual_dml.strategies.heads import Head, MemberHead, TrainedHead, joined_head

Arrays = dict[str, NDArray[Any]]
GROUPS = ("model", "head", "statistics")
_STEP = re.compile(r"drift-(\d{8,})(?:-(\d+))?")


@dataclass(frozen=True, slots=True, eq=False)
class MemberState:
    """What one network has learned."""

    weights: Arrays
    head: DiscriminantHead
    statistics: ClassStatistics
    drift: DriftMaps

    def live_head(self, *, statistics_head: bool, square_root: bool) -> MemberHead:
        """Return the head that this member's embeddings come from."""
        if statistics_head:
            return self.head
        return TrainedHead(self.weights["projection.weight"], square_root)

    @property
    def feature_dim(self) -> int:
        """Length of a stored feature of this member."""
        return int(self.statistics.means.shape[1])

    def carried(self, features: NDArray[np.floating], birth: int) -> NDArray[np.float64]:
        """Return its features (N, F) born in generation ``birth`` as its live network sees them."""
        return self.drift.from_birth(birth, self.feature_dim)(features.astype(np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class LearnerState:
    """The learner after ``tasks_learned`` tasks, with one or more networks.

    Stored features of a cohort are its members' features side by side. ``reduction`` (M D, D) takes the
    members' embeddings side by side to the workspace's dimension, or is None where nothing is reduced.
    """

    tasks_learned: int
    members: tuple[MemberState, ...]
    reduction: NDArray[np.float64] | None = None

    @property
    def weights(self) -> Arrays:
        """Weights of the first member."""
        return self.members[0].weights

    @property
    def head(self) -> DiscriminantHead:
        """Discriminant head of the first member."""
        return self.members[0].head

    @property
    def statistics(self) -> ClassStatistics:
        """Class statistics of the first member; counts and ids are the same for all."""
        return self.members[0].statistics

    @property
    def drift(self) -> DriftMaps:
        """Drift maps of the first member."""
        return self.members[0].drift

    def live_head(self, *, statistics_head: bool, square_root: bool) -> Head:
        """Return the head that embeddings come from: stored features (N, sum of F) to unit vectors."""
        heads = [
            member.live_head(statistics_head=statistics_head, square_root=square_root)
            for member in self.members
        ]
        return joined_head(heads, [member.feature_dim for member in self.members], self.reduction)

    def columns(self) -> Iterator[tuple[MemberState, slice]]:
        """Yield each member and where its features stand in a stored feature."""
        start = 0
        for member in self.members:
            yield member, slice(start, start + member.feature_dim)
            start += member.feature_dim

    def carried(self, features: NDArray[np.floating], birth: int) -> NDArray[np.float64]:
        """Return stored features (N, sum of F) born in generation ``birth`` as the live networks see them."""
        parts = [member.carried(features[:, own], birth) for member, own in self.columns()]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def needed_for(self, births: Iterable[int]) -> LearnerState:
        """Return the state without drift that no feature born in these generations has to be carried over."""
        wanted = list(births)
        members = (replace(member, drift=member.drift.needed_for(wanted)) for member in self.members)
        return replace(self, members=tuple(members))

    def to_artefacts(self) -> dict[str, Arrays]:
        """Return everything as named groups of arrays, one group per stored file.

        The group of a drift step never changes again.
        """
        groups: dict[str, Arrays] = {}
        for number, member in enumerate(self.members):
            groups[group_name("model", number)] = dict(member.weights)
            groups[group_name("head", number)] = {
                "projection": member.head.projection,
                "centre": member.head.centre,
            }
            groups[group_name("statistics", number)] = dict(member.statistics.to_arrays())
            for generation, step in member.drift.steps.items():
                groups[group_name(step_name(generation), number)] = step.to_arrays()
        groups["statistics"]["tasks_learned"] = np.array([self.tasks_learned], dtype=np.int64)
        if self.reduction is not None:
            groups["head"]["reduction"] = self.reduction
        return groups

    @classmethod
    def from_artefacts(cls, groups: Mapping[str, Arrays]) -> LearnerState:
        """Return the state that :meth:`to_artefacts` gave."""
        count = sum(1 for name in groups if name.split("-")[0] == "model")
        members = tuple(_member(groups, number) for number in range(count))
        tasks_learned = int(groups["statistics"]["tasks_learned"][0])
        return cls(tasks_learned, members, groups["head"].get("reduction"))


def group_name(group: str, member: int) -> str:
    """Return the name of a member's group: the first member's is the plain one.

    >>> group_name("model", 0), group_name("model", 2)
    ('model', 'model-2')
    """
    return group if member == 0 else f"{group}-{member}"


def step_name(generation: int) -> str:
    """Return the name of the group with the drift that leads to ``generation``.

    >>> step_name(7)
    'drift-00000007'
    """
    return f"drift-{generation:08d}"


def is_step_name(name: str) -> bool:
    """Say whether ``name`` is that of a group with a member's drift."""
    return _STEP.fullmatch(name) is not None


def is_statistics_name(name: str) -> bool:
    """Say whether ``name`` is that of a group with a member's class statistics.

    >>> is_statistics_name("statistics-1"), is_statistics_name("model-1")
    (True, False)
    """
    return name.split("-", maxsplit=1)[0] == "statistics"


def group_names(cohort: int, names: Iterable[str] = ()) -> list[str]:
    """Return the names of a learner's groups with ``cohort`` members, those of drift steps from ``names``."""
    fixed = [group_name(group, member) for member in range(cohort) for group in GROUPS]
    return fixed + [name for name in names if is_step_name(name)]


def stored_head(models: Sequence[Arrays], heads: Sequence[Arrays], settings: Settings) -> Head:
    """Return the live head from the members' stored groups ``model`` and ``head`` alone, for queries."""
    square_root = settings.model.takes_square_root
    made: list[Head] = []
    for model, head in zip(models, heads, strict=True):
        if settings.training.uses_statistics_head:
            made.append(DiscriminantHead(head["projection"], head["centre"]))
        else:
            made.append(TrainedHead(model["projection.weight"], square_root))
    widths = [len(head["centre"]) for head in heads]
    return joined_head(made, widths, heads[0].get("reduction"))


def _member(groups: Mapping[str, Arrays], number: int) -> MemberState:
    head = groups[group_name("head", number)]
    statistics = groups[group_name("statistics", number)]
    tasks_learned = int(groups["statistics"]["tasks_learned"][0])
    return MemberState(
        groups[group_name("model", number)],
        DiscriminantHead(head["projection"], head["centre"]),
        ClassStatistics.from_arrays(statistics, tasks_learned),
        DriftMaps(_steps(groups, number)),
    )


def _steps(groups: Mapping[str, Arrays], number: int) -> dict[int, DriftStep]:
    found = {name: _STEP.fullmatch(name) for name in groups}
    return {
        int(match[1]): DriftStep.from_arrays(groups[name])
        for name, match in found.items()
        if match is not None and int(match[2] or 0) == number
    }
