"""How well each network of a cohort retrieves alone, beside their ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.metrics.recall import retrieval_metrics
from continual_dml.records import GalleryPart, VectorState
from continual_dml.settings import Settings
from continual_dml.strategies.state import LearnerState
from continual_dml.workflows.evaluate import Labelled


def members_alone(
    state: LearnerState,
    settings: Settings,
    parts: Sequence[GalleryPart],
    gallery: Labelled,
    queries: Labelled,
    query_features: NDArray[np.floating],
) -> list[dict[str, Any]] | None:
    """Return number, backbone and average merged Recall@1 of each member, by its own head.

    Everything is taken from stored features, so that no image is looked at again.

    Args:
        state: of the learner after the task.
        settings: of the workspace.
        parts: the gallery, with stored features (n, sum of F).
        gallery: the same items with their labels, part by part.
        queries: of all tasks.
        query_features: (Q, sum of F) stored features of ``queries``.

    Returns:
        None where the learner has one network, or where an item was left as an earlier model made it: no
        member can be asked about that one.
    """
    if len(state.members) == 1 or any(part.state is VectorState.STALE for part in parts):
        return None
    training, model = settings.training, settings.model
    found = []
    for number, (member, columns) in enumerate(state.columns()):
        head = member.live_head(
            statistics_head=training.uses_statistics_head, square_root=model.takes_square_root
        )
        own = [head(member.carried(part.features[:, columns], part.birth_generation)) for part in parts]
        vectors = np.concatenate(own)
        recall = _average_recall(
            Labelled(head(query_features[:, columns]), queries.categories, queries.tasks),
            Labelled(vectors, gallery.categories, gallery.tasks),
        )
        backbone = model.backbones[number]
        found.append({"member": number, "backbone": backbone, "average_recall_at_1": recall})
    return found


def _average_recall(queries: Labelled, gallery: Labelled) -> float | None:
    recalls = []
    for task_id in np.unique(queries.tasks).tolist():
        asked = queries.of_task(task_id)
        result = retrieval_metrics(
            asked.vectors, asked.categories, gallery.vectors, gallery.categories, ks=(1,)
        )
        if result.queries:
            recalls.append(result.recall[1])
    return sum(recalls) / len(recalls) if recalls else None
