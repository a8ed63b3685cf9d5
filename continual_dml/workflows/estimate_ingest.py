"""Foretell what an ingest will take: its parts are done in a small size on this machine and scaled up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from continual_dml.embedding.embedder import Embedder
from continual_dml.embedding.precision import choose_compute
from continual_dml.ports import ProgressListener, Store
from continual_dml.process_memory import peak_memory_bytes, resident_memory_bytes
from continual_dml.records import LabelledImages
from continual_dml.settings import NO_LIMIT, RefreshBudget, Settings
from continual_dml.strategies.job import TrainingJob
from continual_dml.strategies.recipes import Recipe, recipe_for
from continual_dml.strategies.trunks import views_to_keep
from continual_dml.workflows.calibration import Calibration
from continual_dml.workflows.expected_files import (
    CATALOGUE_BYTES_PER_ITEM,
    PICTURES,
    Holdings,
    generation_bytes,
)
from continual_dml.workflows.plan_task import TaskPlan
from continual_dml.workflows.precision_check import MOST_CHECKED
from continual_dml.workflows.state_files import stored_state

FILES = 20  # of a generation, each flushed to the disk
PAINTING = 2.0  # a picture of a report's page is read, scaled and written again
LEARNED_COPIES = 8  # of all new features in double precision, while drift is fitted to them


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What only the caller can tell.

    ``start_seconds``: of loading and unloading the program; ``read_seconds``: of reading the new images, as
    was just done, ``image_seconds`` of one more; ``flush_seconds`` of writing a small file for good,
    ``byte_seconds`` of each byte of a large one; ``replaces``: whether the live generation goes in the end.
    """

    start_seconds: float = 0.0
    read_seconds: float = 0.0
    image_seconds: float = 0.0
    flush_seconds: float = 0.0
    byte_seconds: float = 0.0
    replaces: bool = True


@dataclass(frozen=True, slots=True)
class KnownItems:
    """What the workspace holds.

    ``there``: gallery images whose task's folder is still there; ``queries`` of each task, oldest first.
    """

    gallery: int
    there: int
    queries: tuple[int, ...]
    categories: int

    @classmethod
    def of(cls, store: Store) -> KnownItems:
        """Count what is in a workspace, without a look at any image."""
        tasks = store.tasks()
        every = (*tasks, *store.additions())
        return cls(
            gallery=sum(one.train_images for one in every),
            there=sum(one.train_images for one in every if Path(one.source).is_dir()),
            queries=tuple(task.query_images for task in tasks),
            categories=len(store.category_ids()),
        )

    @property
    def tasks(self) -> int:
        """Number of tasks that were learned."""
        return len(self.queries)

    def asked_again(self, most: int, tasks: int) -> int:
        """Return how many queries of the first ``tasks`` are asked after the next one, ``most`` in all."""
        return sum(min(of_task, max(1, most // tasks)) for of_task in self.queries[:tasks])

    def asked(self, most: int) -> int:
        """Return how many queries the live generation was measured with and keeps."""
        if not self.queries:
            return 0
        return self.asked_again(most, self.tasks - 1) + min(self.queries[-1], most)


@dataclass(frozen=True, slots=True)
class IngestEstimate:
    """What an ingest will take.

    ``steps`` and ``seconds_per_step`` of training; ``embedded_images`` and ``seconds_per_image`` of feature
    extraction; ``stages``: seconds of each part of the command, named as in a report, ``start`` of the
    program and ``read`` of the new images among them; ``disk_bytes``: of the generation to be written and the
    copies of query images; ``growth_bytes``: by how much the workspace is larger once the generation before
    is gone; ``peak_memory_bytes``: None where the system does not tell.
    """

    steps: int
    seconds_per_step: float
    embedded_images: int
    seconds_per_image: float
    stages: Mapping[str, float]
    disk_bytes: int
    growth_bytes: int
    peak_memory_bytes: int | None

    @property
    def total_seconds(self) -> float:
        """Of the whole command."""
        return sum(self.stages.values())

    @property
    def seconds(self) -> float:
        """Of what follows once the new images are read."""
        return self.total_seconds - self.stages["start"] - self.stages["read"]


def estimate_ingest(
    plan: TaskPlan,
    settings: Settings,
    refresh: str,
    store: Store,
    around: Surroundings,
    listener: ProgressListener,
    budget: RefreshBudget = NO_LIMIT,
) -> IngestEstimate:
    """Measure what the task needs on this machine, in a small size, and scale up.

    Args:
        plan: of the task.
        settings: of the workspace, with the options of the ingest over them.
        refresh: what will happen to earlier tasks' items.
        store: the workspace.
        around: what else is known.
        listener: told of the progress.
        budget: how much of the earlier items may be embedded anew.

    Raises:
        SettingsError: the device is not there.
        CorruptIndex: a file of the live generation differs from its manifest.
    """
    return _Estimate(plan, settings, store, around, listener).made(refresh, budget)


class _Estimate:
    """One estimate: the values that its parts share."""

    def __init__(
        self,
        plan: TaskPlan,
        settings: Settings,
        store: Store,
        around: Surroundings,
        listener: ProgressListener,
    ) -> None:
        self.plan, self.settings, self.around, self.listener = plan, settings, around, listener
        self.new, self.asked_new = len(plan.gallery_rows), len(plan.query_rows)
        self.known = KnownItems.of(store)
        head = store.head()
        state = None if head is None else stored_state(store.open_generation(head), settings.model.cohort)
        self.compute = choose_compute(settings.training.device, settings.training.precision)
        self.calibration = Calibration(settings, self.compute, state)
        self.recipe = Recipe() if state is None else recipe_for(settings.training)
        self.moved = self.recipe.learns and plan.trainable

    def made(self, refresh: str, budget: RefreshBudget) -> IngestEstimate:
        """Return the estimate."""
        self.listener.start("measuring the speed of this machine", 4)
        embedders = self.calibration.networks()
        look = self.calibration.look(embedders)
        self.listener.advance()
        again, reread, carried = self._earlier(refresh, budget, look)
        check = 0.0
        if self.compute.bf16 and self.asked_new:
            check = min(self.asked_new, MOST_CHECKED) * self.calibration.look(embedders, in_full=True)
        steps, per_step, learn = self._learning(embedders, look)
        compare = self._evaluation(reread + carried)
        self.listener.advance()
        before, after = self._holdings(carried)
        disk = generation_bytes(after, embedders, self.settings.training.class_rank)
        replaced = generation_bytes(before, embedders, self.settings.training.class_rank)
        kept = self._copies()
        carrying = self.calibration.carried() if carried else 0.0
        stages = {
            "start": self.around.start_seconds,
            "read": self.around.read_seconds,
            "learn": learn,
            "refresh": reread * (self.around.image_seconds + look) + carried * carrying,
            "embed queries": self.asked_new * look + again * (self.around.image_seconds + look),
            "check precision": check,
            "evaluate": compare,
            "write": disk * self.around.byte_seconds + (FILES + self.asked_new) * self.around.flush_seconds,
            "publish": disk * self.around.byte_seconds
            + PAINTING * self.around.image_seconds * min(PICTURES, self.new),
        }
        images = self.new * (self._looks + self._kept_views) + self.asked_new + again + reread
        replaced = replaced if self.known.tasks and self.around.replaces else 0
        memory = self._memory(embedders, reread)
        return IngestEstimate(
            steps, per_step, images, look, stages, disk + kept, disk + kept - replaced, memory
        )

    @property
    def _looks(self) -> int:
        """How often each new image is looked at: by the model before and after, and views by both."""
        return 2 + 2 * self.settings.training.drift_views if self.known.tasks and self.moved else 1

    @property
    def _kept_views(self) -> int:
        """How many views of each new image frozen layers look at before the training begins."""
        frozen = self.moved and self.settings.training.train_stages is not None
        return views_to_keep(self._job) if frozen else 0

    def _earlier(self, refresh: str, budget: RefreshBudget, look: float) -> tuple[int, int, int]:
        """Return how many queries are embedded again, items embedded anew, and items carried."""
        known, most = self.known, self.settings.evaluation.earlier_queries
        if not self.moved or not known.tasks:
            return 0, 0, known.gallery
        reread = known.there if refresh in ("auto", "reembed") else 0
        if refresh == "auto" and budget.items is not None:
            reread = min(reread, budget.items)
        if refresh == "auto" and budget.seconds is not None:
            reread = min(reread, round(budget.seconds / (self.around.image_seconds + look)))
        return known.asked_again(most, known.tasks), reread, known.gallery - reread

    def _learning(self, embedders: Sequence[Embedder], look: float) -> tuple[int, float, float]:
        """Return the number of steps, the seconds of one, and those of all that learning does."""
        categories = len(self.plan.categories)
        seconds = self.new * (self._looks + self._kept_views) * look
        if self._looks > 1:
            seconds += self.new * self.settings.training.drift_views * self.calibration.distortion()
        seconds += self.calibration.memory(self.new, categories, moved=self.moved)
        self.listener.advance()
        if not self.moved:
            return 0, 0.0, seconds
        steps = self._job.steps()
        per_step, first = self.calibration.step(embedders, self.recipe, categories)
        self.listener.advance()
        return steps, per_step, seconds + first + steps * per_step

    @cached_property
    def _job(self) -> TrainingJob:
        """Return the task as a job that knows how many steps it takes, and nothing else."""
        number = {name: position for position, name in enumerate(self.plan.categories)}
        records = self.plan.records(self.plan.gallery_rows)
        labels = np.array([number[record.category] for record in records], dtype=np.int64)
        counted_only = LabelledImages(self.plan.task.pixels[self.plan.gallery_rows[:0]], labels)
        return TrainingJob("", (), counted_only, Recipe(), self.settings.training, 0)

    def _evaluation(self, earlier: int) -> float:
        known, most = self.known, self.settings.evaluation.earlier_queries
        unknown = self.new if known.tasks else 0  # tried on the gallery before
        asked = known.asked_again(most, known.tasks) + self.asked_new + unknown
        categories = known.categories + len(self.plan.new_categories)
        return self.calibration.comparison(asked, self.new + earlier, categories)

    def _holdings(self, carried: int) -> tuple[Holdings, Holdings]:
        """Return what the live generation holds, and what the next one will."""
        known, most = self.known, self.settings.evaluation.earlier_queries
        steps = known.tasks if carried and self.moved else 0
        before, again = known.asked(most), known.asked_again(most, known.tasks)
        asked = again + min(self.asked_new, most)
        born = sum(known.queries) if steps > 1 else before  # none is older where all was embedded anew
        categories = known.categories + len(self.plan.new_categories)
        return (
            Holdings(known.gallery, known.categories, born, before, max(0, steps - 1)),
            Holdings(
                known.gallery + self.new,
                categories,
                born + self.asked_new if steps else asked,
                asked,
                steps,
            ),
        )

    def _copies(self) -> int:
        """Return the bytes of what the workspace keeps beside its generations."""
        copies = sum(record.size_bytes for record in self.plan.records(self.plan.query_rows))
        return copies + CATALOGUE_BYTES_PER_ITEM * (self.new + self.asked_new)

    def _memory(self, embedders: Sequence[Embedder], reread: int) -> int | None:
        """Return the peak: what measuring took, or what is there now and the largest arrays to come."""
        peak, now = peak_memory_bytes(), resident_memory_bytes()
        if peak is None or now is None:
            return None
        width = sum(embedder.feature_dim for embedder in embedders)
        dim = sum(embedder.settings.embedding_dim for embedder in embedders)
        views = self.settings.training.drift_views if self._looks > 1 else 0
        widest = max(embedder.feature_dim for embedder in embedders)
        learning = LEARNED_COPIES * 8 * self.new * (1 + views) * widest
        items = self.known.gallery + self.new
        gallery = items * (2 * width + 3 * 4 * dim) + (reread + self.new) * 2 * 4 * width
        return max(peak, now + max(learning, gallery))
