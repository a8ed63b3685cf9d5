"""What is measured: a row of the table, its arms, and its aims."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

Sizes = Mapping[str, Any]
"""How large a row's work is, as JSON: also what the arms are told of it."""
Answers = Mapping[str, Any]
"""What an arm computed: arrays, or what becomes one, by name."""

OURS, AGAIN = "ours", "ours, a second time"


@dataclass(frozen=True, slots=True)
class Work:
    """What an arm does, ready to be done.

    ``run`` is timed; it returns what it computed. ``before`` is called before each ``run`` and is not
    timed. ``amount`` is how many units of the row one ``run`` handles. ``figures`` are told after a run:
    numbers other than times, by name. ``profile`` tells where the last run's time went, if the arm knows it
    better than a profiler of its process does.
    """

    run: Callable[[], Answers]
    before: Callable[[], None] | None = None
    amount: float = 1.0
    figures: Callable[[], Mapping[str, float]] | None = None
    profile: Callable[[], str] | None = None


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to do it.

    Args:
        name: in the table.
        factory: ``package.module:function``, called in the arm's process with the row's folder and sizes;
            returns :class:`Work`.
        peer: whether it runs in the environment of the peers.
        threads: that libraries may use.
        options: added to the sizes.
    """

    name: str
    factory: str
    peer: bool = False
    threads: int = 2
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure should be.

    With ``against`` it is that arm's figure for one unit over ours, with ``inverse`` ours over that arm's;
    else it is ours alone. ``of`` names which arm is ours, where there are several. ``figure`` is
    ``seconds``, ``processor``, ``memory`` (MB that a run needs at its peak beyond what was there before) or
    a name of ``Work.figures``. The interval's lower end must be ``at_least``, its upper end ``at_most``.
    """

    figure: str = "seconds"
    against: str | None = None
    at_least: float = -math.inf
    at_most: float = math.inf
    inverse: bool = False
    of: str = OURS

    def is_met(self, low: float, high: float) -> bool:
        """Return whether an interval keeps to it."""
        return low >= self.at_least and high <= self.at_most


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table.

    Args:
        name: of its file in ``benchmarks/rows`` and of its results.
        title: what is done.
        unit: what is counted, as ``images``; empty where only whole runs are.
        arms: the first one is ours.
        targets: aims.
        sizes: of the full measurement, and ``quick`` ones.
        prepare: makes what all arms read in a folder; called once, with the sizes.
        same: given our answers and another arm's, returns what differs, or None.
        rounds: of the full measurement; a quick one takes one.
        shortest: seconds that a timed run lasts at least; work that takes less is repeated.
        again: whether ours is timed a second time.
        long: whether a run takes minutes: nothing is run to warm up, each round asks every arm once, in one
            order and then in the other, and rounds can be measured one at a time.
        limits: what limits ours, and what was tried, where an aim is missed.
    """

    name: str
    title: str
    arms: tuple[Arm, ...]
    targets: tuple[Target, ...]
    same: Callable[[Answers, Answers], str | None]
    prepare: Callable[[Path, Sizes], None] | None = None
    unit: str = ""
    sizes: Sizes = field(default_factory=dict)
    quick: Sizes = field(default_factory=dict)
    rounds: int = 15
    shortest: float = 0.3
    again: bool = True
    long: bool = False
    limits: str = ""

    def sized(self, *, quick: bool) -> dict[str, Any]:
        """Return the sizes of a full or a quick measurement."""
        return {**self.sizes, **(self.quick if quick else {})}

    def all_arms(self) -> tuple[Arm, ...]:
        """Return the arms, with ours a second time at the end."""
        return (*self.arms, replace(self.arms[0], name=AGAIN)) if self.again else self.arms
