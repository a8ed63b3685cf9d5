"""What the learner keeps between tasks: weights, heads, class statistics and drift maps. Nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.memory.class_statistics import ClassStatistics
from continual_dml.memory.discriminant_head import DiscriminantHead
from continual_dml.memory.drift import DriftMaps
from continual_dml.settings import Settings
from continual_dml.strategies.heads import Head, TrainedHead, joined_head

Arrays = dict[str, NDArray[Any]]
GROUPS = ("model", "head", "statistics", "drift")


@dataclass(frozen=True, slots=True, eq=False)
class MemberState:
    """What one network has learned; drift maps are keyed by the generations they start from."""

    weights: Arrays
    head: DiscriminantHead
    statistics: ClassStatistics
    drift: DriftMaps

    def live_head(self, *, statistics_head: bool, square_root: bool) -> Head:
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
        return self.drift.for_birth(birth, self.feature_dim)(features.astype(np.float64))


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

    def to_artefacts(self) -> dict[str, Arrays]:
        """Return everything as named groups of arrays, one group per stored file."""
        groups: dict[str, Arrays] = {}
        for number, member in enumerate(self.members):
            groups[group_name("model", number)] = dict(member.weights)
            groups[group_name("head", number)] = {
                "projection": member.head.projection,
                "centre": member.head.centre,
            }
            groups[group_name("statistics", number)] = dict(member.statistics.to_arrays())
            groups[group_name("drift", number)] = dict(member.drift.to_arrays())
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


def group_names(cohort: int) -> list[str]:
    """Return the names of all groups of a learner with ``cohort`` members."""
    return [group_name(group, member) for member in range(cohort) for group in GROUPS]


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
    statistics = dict(groups[group_name("statistics", number)])
    statistics.pop("tasks_learned", None)
    return MemberState(
        groups[group_name("model", number)],
        DiscriminantHead(head["projection"], head["centre"]),
        ClassStatistics(**statistics),
        DriftMaps.from_arrays(groups[group_name("drift", number)]),
    )
