"""How fast this machine does what an ingest is made of: each part is done for real, in a small size."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median

import numpy as np
from numpy.typing import NDArray

from continual_dml.embedding.cohort import build_member, restore_members
from continual_dml.embedding.distorted_views import DistortedRows
from continual_dml.embedding.embedder import Embedder
from continual_dml.embedding.extract import BATCH_IMAGES, Extracted, extract_each
from continual_dml.embedding.precision import Compute
from continual_dml.memory.discriminant_head import unit_rows
from continual_dml.memory.drift_strength import choose_drift_map
from continual_dml.ports import SilentListener
from continual_dml.records import LabelledImages
from continual_dml.settings import Settings
from continual_dml.strategies.carrying import Carrying
from continual_dml.strategies.hooks import StepHooks
from continual_dml.strategies.job import TrainingJob
from continual_dml.strategies.members import Member, Teachers
from continual_dml.strategies.recipes import Recipe
from continual_dml.strategies.remembering import first_memory, next_memory, teachers_from, unmoved_memory
from continual_dml.strategies.state import LearnerState, MemberState
from continual_dml.strategies.training import train
from continual_dml.strategies.trunks import with_frozen_trunks
from continual_dml.workflows.calibrate_no_match import no_match_document
from continual_dml.workflows.evaluate import Labelled, measure_all
from continual_dml.workflows.report_details import report_details

WARM_UP_STEPS, MOST_STEPS, STEP_SECONDS = 2, 8, 2.5
"""Steps that are not counted; and until when they are: so many, or, after one, so long."""
LOOKS = 6  # at a batch, of which the later half counts
FEW_IMAGES, MORE_IMAGES = 32, 96
CARRIED_ROWS = 512
_UNSEEN = 10**9  # added to class ids, so that none is one of the workspace's


@dataclass(frozen=True, slots=True)
class Line:
    """Seconds that grow with an amount of work: ``base`` and ``slope`` for each unit."""

    base: float
    slope: float

    def __call__(self, work: float) -> float:
        """Return the seconds for ``work``."""
        return self.base + self.slope * work

    @classmethod
    def through(cls, small: tuple[float, float], large: tuple[float, float]) -> Line:
        """Return the line through two points (work, seconds); it never falls and never starts below zero.

        >>> Line.through((1.0, 2.0), (3.0, 6.0))
        Line(base=0.0, slope=2.0)
        >>> Line.through((1.0, 2.0), (3.0, 1.0))  # noise: the mean, whatever the work
        Line(base=1.5, slope=0.0)
        """
        if large[0] <= small[0]:
            return cls(large[1], 0.0)
        slope = (large[1] - small[1]) / (large[0] - small[0])
        if slope < 0:
            return cls((small[1] + large[1]) / 2, 0.0)
        base = small[1] - slope * small[0]
        return cls(base, slope) if base >= 0 else cls(0.0, large[1] / large[0])


def seconds_of(work: Callable[[], object]) -> float:
    """Return the seconds that ``work`` takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


@dataclass(slots=True, eq=False)
class _Clock(StepHooks):
    """Notes when each optimisation step ended, and stops the training when that is known well enough."""

    ends: list[float] = field(default_factory=list)

    def after_update(self) -> bool:
        self.ends.append(time.perf_counter())
        counted = len(self.ends) - WARM_UP_STEPS
        return counted < 1 or self.ends[-1] - self.ends[WARM_UP_STEPS - 1] < STEP_SECONDS


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Measures the parts of an ingest with the networks and the state that it would begin with.

    ``state``: what the live generation has learned, None before the first task.
    """

    settings: Settings
    compute: Compute
    state: LearnerState | None

    def networks(self) -> list[Embedder]:
        """Return the cohort's networks: the live ones, or random ones of the same kind."""
        model = self.settings.model
        if self.state is not None:
            found = restore_members(model, [member.weights for member in self.state.members])
        else:
            found = [build_member(model, None, number, seed=0) for number in range(model.cohort)]
        return [network.to(self.compute.device) for network in found]

    def look(self, embedders: Sequence[Embedder], *, in_full: bool = False) -> float:
        """Return the seconds of embedding an image with all networks."""
        compute = replace(self.compute, bf16=False) if in_full else self.compute
        pixels = self._pixels(BATCH_IMAGES)
        looks = [seconds_of(partial(extract_each, embedders, pixels, compute)) for _ in range(LOOKS)]
        return median(looks[LOOKS // 2 :]) / len(pixels)  # the first ones are slow

    def distortion(self) -> float:
        """Return the seconds of drawing a distorted view of an image."""
        views = DistortedRows.drawn(self._pixels(BATCH_IMAGES), np.random.default_rng(0))
        return seconds_of(lambda: views[:]) / len(views)

    def step(self, embedders: Sequence[Embedder], recipe: Recipe, categories: int) -> tuple[float, float]:
        """Return the seconds of a training step, and what the first ones take longer.

        Its networks, teachers and batch are those that the task would be learned with; ``embedders`` are
        trained a little.
        """
        training = self.settings.training
        classes = max(2, min(training.batch_categories, categories))
        labels = np.repeat(np.arange(classes, dtype=np.int64), training.images_per_category)
        members = tuple(
            Member(embedder, self._specialist(recipe, number), self._teachers(recipe, number, len(labels)))
            for number, embedder in enumerate(embedders)
        )
        images = LabelledImages(self._pixels(len(labels)), labels)
        steps = training.steps or WARM_UP_STEPS + MOST_STEPS
        short = replace(
            training, steps=max(WARM_UP_STEPS + 1, min(steps, WARM_UP_STEPS + MOST_STEPS)), epochs=None
        )
        job = TrainingJob("calibration", members, images, recipe, short, 0)
        job = with_frozen_trunks(job, self.compute, SilentListener(), None)
        clock, begin = _Clock(), time.perf_counter()
        train(job, self.compute, SilentListener(), clock)
        taken = np.diff([begin, *clock.ends])
        usual = float(np.median(taken[WARM_UP_STEPS:]))
        return usual, max(0.0, float(taken[:WARM_UP_STEPS].sum()) - WARM_UP_STEPS * usual)

    def memory(self, images: int, categories: int, *, moved: bool) -> float:
        """Return the seconds of renewing what is kept of classes and of drift, with ``images`` new ones.

        Most of it is the same however few images there are. What grows with them is, where the networks
        moved, the choice of drift maps.
        """
        few, more = min(images, FEW_IMAGES), min(images, MORE_IMAGES)
        small = seconds_of(partial(self._renew, few, categories, moved=moved))
        if few == images:
            return small
        if self.state is None or not moved:
            large = seconds_of(partial(self._renew, more, categories, moved=moved))
            return Line.through((few, small), (more, large))(images)
        grown = 0.0
        for member in self.state.members:
            width = member.feature_dim
            line = Line.through(
                (_fitting(few, width), self._choice(few, width)),
                (_fitting(more, width), self._choice(more, width)),
            )
            for share in (1, 1 + self.settings.training.drift_views):  # means are carried without views
                grown += line.slope * (_fitting(share * images, width) - _fitting(share * few, width))
        return small + grown

    def comparison(self, queries: int, items: int, categories: int) -> float:
        """Return the seconds of measuring ``queries`` in a gallery of ``items``."""
        points = []
        for share in (4, 1):
            asked, searched = min(queries, 256 // share), min(items, 1024 // share)
            if not asked or not searched:
                return 0.0
            measured = seconds_of(partial(self._measure, asked, searched, categories))
            points.append((float(asked * searched), measured))
        return Line.through(points[0], points[1])(float(queries) * items)

    def carried(self) -> float:
        """Return the seconds of carrying one stored feature to the live vectors."""
        if self.state is None:
            return 0.0
        carrying = Carrying(self.state, self.settings)
        width = sum(member.feature_dim for member in self.state.members)
        features = self._features(CARRIED_ROWS, width, seed=0).astype(np.float16)
        return seconds_of(lambda: carrying.vectors(features, 0)) / CARRIED_ROWS

    def _choice(self, images: int, width: int) -> float:
        """Return the seconds of choosing a drift map with so many rows."""
        before = Extracted(self._features(images, width, seed=2), self._features(images, 1, seed=1))
        after, labels = self._moved(before).features, np.arange(images, dtype=np.int64) % max(2, images // 2)
        return seconds_of(partial(choose_drift_map, before.features, after, labels))

    def _renew(self, images: int, categories: int, *, moved: bool) -> None:
        settings, dim = self.settings, self.settings.model.embedding_dim
        labels = _UNSEEN + np.arange(images, dtype=np.int64) % max(1, min(categories, images // 2))
        for member, width in self._kept():
            outputs = self._features(images, dim, seed=1)
            before = Extracted(self._features(images, width, seed=2), outputs)
            if member is None:
                first_memory({}, before, labels, settings)
            elif not moved:
                unmoved_memory(member, before, labels, task=self._tasks, settings=settings)
            else:
                next_memory(
                    member,
                    member.weights,
                    (before, self._moved(before)),
                    labels,
                    task=self._tasks,
                    generation=_UNSEEN,
                    settings=settings,
                    views=self._views(images, width),
                )

    def _kept(self) -> list[tuple[MemberState | None, int]]:
        """Return what each network keeps, None before the first task, and the length of its features."""
        if self.state is None:
            return [(None, network.feature_dim) for network in self.networks()]
        return [(member, member.feature_dim) for member in self.state.members]

    def _views(self, images: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        count = images * self.settings.training.drift_views
        if not count:
            return None
        then = self._features(count, width, seed=3)
        return then, then + np.float32(0.05) * self._features(count, width, seed=4)

    def _moved(self, before: Extracted) -> Extracted:
        count, width = before.features.shape
        noise = self._features(count, width, seed=5)
        return Extracted(before.features + np.float32(0.05) * noise, before.outputs)

    def _measure(self, queries: int, items: int, categories: int) -> None:
        dim = self.settings.model.embedding_dim
        dim *= self.settings.model.cohort if self.settings.model.ensemble == "concatenated" else 1
        asked, searched = (
            Labelled(
                unit_rows(np.random.default_rng(count).standard_normal((count, dim))),
                np.sort(np.arange(count, dtype=np.int64) % min(categories, items)),
                np.ones(count, dtype=np.int64),
                np.arange(count, dtype=np.int64),
            )
            for count in (queries, items)
        )
        found = measure_all([1], asked, searched, self.settings.evaluation.recall_at)
        no_match_document(asked, found.nearest, searched, self.settings, {}, None)
        report_details(1, asked, [str(row) for row in range(queries)], found.closest, searched)

    @property
    def _tasks(self) -> int:
        return 0 if self.state is None else self.state.tasks_learned

    def _specialist(self, recipe: Recipe, number: int) -> Embedder | None:
        return build_member(self.settings.model, None, number, seed=1) if recipe.specialist else None

    def _teachers(self, recipe: Recipe, number: int, images: int) -> Teachers:
        if self.state is None:
            return Teachers()
        member, dim = self.state.members[number], self.settings.model.embedding_dim
        seen = Extracted(
            self._features(images, member.feature_dim, seed=6), self._features(images, dim, seed=7)
        )
        return teachers_from(member, seen, recipe, self._tasks)

    def _pixels(self, count: int) -> NDArray[np.uint8]:
        side = self.settings.model.stored_side_pixels
        return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)

    @staticmethod
    def _features(count: int, width: int, seed: int) -> NDArray[np.float32]:
        """Return rows (count, width) of about the size of features that a root was taken of."""
        return np.abs(np.random.default_rng(seed).standard_normal((count, width), dtype=np.float32))


def _fitting(rows: int, width: int) -> float:
    """Return what fitting a map to so many rows grows with: their moments, and singular values of them.

    The factor is that of the multiplications in :mod:`continual_dml.memory.drift_strength`.
    """
    return float(rows) * width * (width + 3 * min(rows, width))
