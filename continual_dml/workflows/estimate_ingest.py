"""Foretell what an ingest will cost, by taking a few real steps on random images of the same size."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from continual_dml.embedding.cohort import build_member
from continual_dml.embedding.embedder import Embedder, embedder_state
from continual_dml.embedding.extract import BATCH_IMAGES, extract_each
from continual_dml.embedding.precision import Compute, choose_compute
from continual_dml.memory.discriminant_head import unit_rows
from continual_dml.memory.drift_doubt import MOST_DIRECTIONS
from continual_dml.ports import ProgressListener, SilentListener
from continual_dml.records import LabelledImages
from continual_dml.settings import NO_LIMIT, RefreshBudget, Settings
from continual_dml.strategies.hooks import StepHooks
from continual_dml.strategies.job import TrainingJob
from continual_dml.strategies.members import Member, Teachers
from continual_dml.strategies.recipes import Recipe, recipe_for
from continual_dml.strategies.training import train
from continual_dml.strategies.trunks import views_to_keep, with_frozen_trunks
from continual_dml.workflows.plan_task import TaskPlan

WARM_UP_STEPS = 1
MEASURED_STEPS = 2
FINGERPRINT_BYTES = 40  # with the number of its item
CATALOGUE_BYTES_PER_ITEM = 400  # one row, its indexes and an ordinary path


@dataclass(frozen=True, slots=True)
class KnownItems:
    """What the workspace holds already, and how long one image takes to read and decode."""

    gallery: int
    queries: int
    categories: int
    tasks: int
    read_seconds_per_image: float = 0.0


@dataclass(frozen=True, slots=True)
class IngestEstimate:
    """What an ingest will take, reading the new images not counted.

    ``steps`` and ``seconds_per_step`` of training; ``embedded_images`` and ``seconds_per_image`` of feature
    extraction; ``seconds`` of all of it; ``disk_bytes`` of the generation to be written and the copies of
    query images (the generation before it is removed afterwards).
    """

    steps: int
    seconds_per_step: float
    embedded_images: int
    seconds_per_image: float
    seconds: float
    disk_bytes: int


def estimate_ingest(
    plan: TaskPlan,
    settings: Settings,
    refresh: str,
    known: KnownItems,
    listener: ProgressListener,
    budget: RefreshBudget = NO_LIMIT,
) -> IngestEstimate:
    """Measure the workspace's network on this machine and scale up.

    Args:
        plan: of the task.
        settings: of the workspace, with the options of the ingest over them.
        refresh: what will happen to earlier tasks' items.
        known: what is in the workspace.
        listener: told of the progress.
        budget: how much of them may be embedded anew; of a time nothing can be told before.

    Raises:
        SettingsError: the device is not there.
    """
    compute = choose_compute(settings.training.device, settings.training.precision)
    embedders = [
        build_member(settings.model, None, number, seed=0).to(compute.device)
        for number in range(settings.model.cohort)
    ]
    recipe = recipe_for(settings.training) if known.tasks else Recipe()
    moved = recipe.learns and plan.trainable
    listener.start("measuring the speed of this machine", 2)
    seconds_per_image = _seconds_per_image(embedders, compute)
    listener.advance()
    steps, seconds_per_step, kept_views = 0, 0.0, 0
    if moved:
        job = _counted_job(plan, settings)
        steps = job.steps()
        if settings.training.train_stages is not None:
            kept_views = views_to_keep(job)
        seconds_per_step = _seconds_per_step(plan, settings, recipe, embedders, compute, known.tasks)
    listener.advance()
    reread = known.gallery if moved and refresh in ("auto", "reembed") else 0
    reread = reread if budget.items is None else min(reread, budget.items)
    # With both models each: half a look is with one of them.
    looks = 2 + 2 * settings.training.drift_views if known.tasks and moved else 1
    looks += kept_views
    again = min(known.queries, settings.evaluation.earlier_queries)
    images = len(plan.gallery_rows) * looks + len(plan.query_rows) + again + reread
    seconds = steps * seconds_per_step + images * seconds_per_image
    seconds += (again + reread) * known.read_seconds_per_image
    disk = _disk_bytes(plan, embedders, known, again, settings.training.class_rank)
    return IngestEstimate(steps, seconds_per_step, images, seconds_per_image, seconds, disk)


class _Clock(StepHooks):
    """Notes when each optimisation step ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def after_update(self) -> bool:
        self.ends.append(time.perf_counter())
        return True


def _images(count: int, side: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def _seconds_per_image(embedders: Sequence[Embedder], compute: Compute) -> float:
    pixels = _images(BATCH_IMAGES, embedders[0].settings.stored_side_pixels)
    extract_each(embedders, pixels, compute)
    begin = time.perf_counter()
    extract_each(embedders, pixels, compute)
    return (time.perf_counter() - begin) / BATCH_IMAGES


def _counted_job(plan: TaskPlan, settings: Settings) -> TrainingJob:
    """Return the task as a job that knows how many steps it takes, and nothing else."""
    number = {name: position for position, name in enumerate(plan.categories)}
    labels = np.array([number[r.category] for r in plan.records(plan.gallery_rows)], dtype=np.int64)
    images = LabelledImages(plan.task.pixels[plan.gallery_rows[:0]], labels)  # only counted, never read
    return TrainingJob("", (), images, Recipe(), settings.training, 0)


def _seconds_per_step(
    plan: TaskPlan,
    settings: Settings,
    recipe: Recipe,
    embedders: Sequence[Embedder],
    compute: Compute,
    tasks: int,
) -> float:
    """Return the seconds of one step as the task would take it: its networks, its teachers, its batch."""
    training = settings.training
    classes = min(training.batch_categories, len(plan.categories))
    labels = np.repeat(np.arange(max(classes, 2), dtype=np.int64), training.images_per_category)
    images = LabelledImages(_images(len(labels), settings.model.stored_side_pixels), labels)
    old = None
    if recipe.needs_old_outputs:
        random = np.random.default_rng(0)
        old = unit_rows(random.standard_normal((len(labels), settings.model.embedding_dim)))
    virtual = (old,) * (tasks - 1) if old is not None and recipe.virtual else ()
    means = old[:classes] if old is not None and recipe.soft_labels else None
    teachers = Teachers(old, virtual, means)
    members = tuple(
        Member(
            embedder,
            build_member(settings.model, None, number, seed=1) if recipe.specialist else None,
            teachers,
        )
        for number, embedder in enumerate(embedders)
    )
    short = replace(training, steps=WARM_UP_STEPS + MEASURED_STEPS, epochs=None)
    job = TrainingJob("estimate", members, images, recipe, short, 0)
    job = with_frozen_trunks(job, compute, SilentListener(), None)
    clock = _Clock()
    train(job, compute, SilentListener(), clock)
    return (clock.ends[-1] - clock.ends[WARM_UP_STEPS - 1]) / MEASURED_STEPS


def _disk_bytes(
    plan: TaskPlan, embedders: Sequence[Embedder], known: KnownItems, again: int, rank: int
) -> int:
    items = len(plan.gallery_rows) + known.gallery
    categories = known.categories + len(plan.new_categories)
    total = 2 * 8 * items  # ids, in the part and in the index
    total += FINGERPRINT_BYTES * (items + known.queries + len(plan.query_rows))
    for embedder in embedders:
        features, dim = embedder.feature_dim, embedder.settings.embedding_dim
        total += items * (
            2 * features + 2 * 4 * dim
        )  # half-precision feature, vector and its copy in the index
        total += sum(array.nbytes for array in embedder_state(embedder).values())
        total += 8 * (categories * (features + 2 * dim + 7) + features * features)  # statistics
        total += max(0, min(items - categories, rank * categories)) * (2 * features + 4)  # directions of each
        total += 8 * features * (dim + 1)  # head
        total += 4 * known.tasks * features * (features + 2 + 2 * MOST_DIRECTIONS)  # drift maps, doubt
        total += 2 * features * (again + len(plan.query_rows))  # queries as they were born
    copies = sum(record.size_bytes for record in plan.records(plan.query_rows))
    catalogue = CATALOGUE_BYTES_PER_ITEM * (len(plan.gallery_rows) + len(plan.query_rows))
    return total + copies + catalogue
