"""What one network keeps of a task, and what that is good for in the next one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from continual_dml.embedding.extract import Extracted
from continual_dml.memory.class_statistics import ClassStatistics, centred_on_classes, measure_classes
from continual_dml.memory.discriminant_head import fit_discriminant_head, unit_rows
from continual_dml.memory.drift import DriftFit, fit_drift, fit_drift_from_moments
from continual_dml.memory.drift_doubt import doubt_of
from continual_dml.memory.drift_maps import DriftMaps, DriftStep
from continual_dml.memory.drift_strength import DriftChoice, choose_drift_map, choose_drift_strength
from continual_dml.memory.moments import PairedMoments
from continual_dml.memory.virtual_features import virtual_embeddings
from continual_dml.settings import Settings
from continual_dml.strategies.heads import fit_reduction
from continual_dml.strategies.members import Teachers
from continual_dml.strategies.recipes import Recipe
from continual_dml.strategies.state import Arrays, MemberState

ViewFeatures = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Features (K N, F) of K views of each of N images, all first views first: before a task, and after it."""


def first_memory(
    weights: Arrays, seen: Extracted, labels: NDArray[np.int64], settings: Settings
) -> MemberState:
    """Return what a network keeps of its first task: ``seen`` of the images with ``labels`` (N,)."""
    statistics = measure_classes(seen.features, seen.outputs, labels, 0, settings.training.class_rank)
    return _memory(weights, statistics, DriftMaps({}), settings)


def next_memory(
    memory: MemberState,
    weights: Arrays,
    seen: tuple[Extracted, Extracted],
    labels: NDArray[np.int64],
    *,
    task: int,
    generation: int,
    settings: Settings,
    views: ViewFeatures | None = None,
) -> tuple[MemberState, DriftChoice]:
    """Return what a network keeps after one more task, and how the drift map of its items was chosen.

    Statistics move by a map of their own: they are means of undistorted images.

    Args:
        memory: what it kept before.
        weights: its weights now.
        seen: the task's images as it saw them before and as it sees them now.
        labels: (N,) of these images.
        task: index of the task, from 0.
        generation: that the task's drift leads to.
        settings: strengths of the maps and of the head.
        views: distorted views of these images, seen likewise, which the items' map is fitted to as well.
    """
    before, after = seen
    training = settings.training
    choice = choose_drift_map(before.features, after.features, labels, training.drift_strength)
    means = step = _step(before.features, after.features, choice)
    if views is not None:
        then, now = np.concatenate([before.features, views[0]]), np.concatenate([after.features, views[1]])
        repeated = np.tile(labels, len(then) // len(labels))
        choice = choose_drift_map(then, now, repeated, training.drift_strength, asked=len(labels))
        step = _step(then, now, choice)
    within = _drift(
        centred_on_classes(before.features, labels),
        centred_on_classes(after.features, labels),
        labels,
        training.drift_strength,
    )
    outputs = _drift(before.outputs, after.outputs, labels, training.output_drift_strength)
    new = measure_classes(after.features, after.outputs, labels, task, training.class_rank)
    moved = memory.statistics.moved(means.map, within, outputs.map)
    statistics = moved.merged(new, training.class_rank)
    return _memory(weights, statistics, memory.drift.advanced(step, generation), settings), choice


def unmoved_memory(
    memory: MemberState, seen: Extracted, labels: NDArray[np.int64], *, task: int, settings: Settings
) -> MemberState:
    """Return what a network keeps after a task that left its weights as they were.

    Args:
        memory: what it kept before.
        seen: the task's images as it sees them.
        labels: (N,) of these images.
        task: index of the task, from 0.
        settings: strength of the head, rank of a class's covariance.
    """
    rank = settings.training.class_rank
    statistics = memory.statistics.merged(
        measure_classes(seen.features, seen.outputs, labels, task, rank), rank
    )
    return _memory(memory.weights, statistics, memory.drift, settings)


def memory_with_more(
    memory: MemberState, seen: Extracted, labels: NDArray[np.int64], *, task: int, rank: int
) -> MemberState:
    """Return what a network keeps after images were added without learning: its head stays as it is.

    Args:
        memory: what it kept before.
        seen: the images as it sees them.
        labels: (N,) of these images.
        task: index of the last task that it learned, from 0: whose model the images' classes were born with.
        rank: most directions of a class's own covariance.
    """
    new = measure_classes(seen.features, seen.outputs, labels, task, rank)
    return replace(memory, statistics=memory.statistics.merged(new, rank))


def teachers_from(memory: MemberState, before: Extracted, recipe: Recipe, tasks_learned: int) -> Teachers:
    """Return what a network's earlier selves say of new images that it sees as ``before``."""
    if not recipe.needs_old_outputs:
        return Teachers()
    statistics = memory.statistics
    virtual: tuple[NDArray[np.float32], ...] = ()
    if recipe.virtual:
        earlier = sorted({int(task) for task in statistics.tasks} - {tasks_learned - 1})
        virtual = tuple(
            virtual_embeddings(before.outputs, statistics, task, guarded=recipe.guarded_virtual)
            for task in earlier
        )
    means = unit_rows(statistics.output_means) if recipe.soft_labels else None
    return Teachers(unit_rows(before.outputs), virtual, means)


def reduction_for(members: Sequence[MemberState], settings: Settings) -> NDArray[np.float64] | None:
    """Return how a cohort's embeddings side by side are reduced, or None where they are not.

    Principal directions of the class means' embeddings, each class weighted by its images: nothing else of
    earlier tasks is there to fit them on.
    """
    model = settings.model
    if len(members) == 1 or model.ensemble != "pca":
        return None
    heads = [
        member.live_head(
            statistics_head=settings.training.uses_statistics_head, square_root=model.takes_square_root
        )
        for member in members
    ]
    means = [head(member.statistics.means) for head, member in zip(heads, members, strict=True)]
    counts = members[0].statistics.counts
    return fit_reduction(np.concatenate(means, axis=1), counts, model.embedding_dim)


def _drift(
    before: NDArray[np.floating],
    after: NDArray[np.floating],
    labels: NDArray[np.int64],
    strength: float | None,
) -> DriftFit:
    chosen = choose_drift_strength(before, after, labels) if strength is None else strength
    return fit_drift(before, after, chosen)


def _step(before: NDArray[np.floating], after: NDArray[np.floating], choice: DriftChoice) -> DriftStep:
    moments = PairedMoments.empty(before.shape[1])
    moments.update(before, after)
    fit = fit_drift_from_moments(moments, choice.strength)
    doubt = doubt_of(moments, fit, choice.strength, choice.held_out_error)
    return DriftStep(fit.map.as_stored(), doubt)


def _memory(
    weights: Arrays, statistics: ClassStatistics, drift: DriftMaps, settings: Settings
) -> MemberState:
    shrinkage, dim = settings.training.head_shrinkage, settings.model.embedding_dim
    head = fit_discriminant_head(statistics, shrinkage, dim)
    return MemberState(dict(weights), head, statistics, drift)
