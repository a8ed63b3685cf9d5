"""How well each network of a cohort retrieves alone, beside their ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.metrics.recall import score_queries
from continual_dml.records import GalleryLabels, GalleryPart, VectorState
from continual_dml.settings import Settings
from continual_dml.strategies.carrying import Carrying
from continual_dml.workflows.evaluate import Labelled, labelled_gallery


def members_alone(
    carrying: Carrying,
    settings: Settings,
    parts: Sequence[GalleryPart],
    labels: GalleryLabels,
    queries: Labelled,
    query_features: NDArray[np.floating],
) -> list[dict[str, Any]] | None:
    """Return number, backbone and average merged Recall@1 of each member, by its own head.

    Everything is taken from stored features, so that no image is looked at again.

    Args:
        carrying: of the learner after the task.
        settings: of the workspace.
        parts: the gallery, with stored features (n, sum of F).
        labels: of its items.
        queries: of all tasks.
        query_features: (Q, sum of F) stored features of ``queries``.

    Returns:
        None where the learner has one network, or where an item was left as an earlier model made it: no
        member can be asked about that one.
    """
    if len(carrying.members) == 1 or any(part.state is VectorState.STALE for part in parts):
        return None
    found = []
    for number, (member, columns) in enumerate(carrying.members):
        vectors = [member.vectors(part.features[:, columns], part.birth_generation) for part in parts]
        asked = member.of_live(query_features[:, columns])
        gallery = labelled_gallery([part.ids for part in parts], vectors, labels)
        recall = _average_recall(Labelled(asked, queries.categories, queries.tasks), gallery)
        backbone = settings.model.backbones[number]
        found.append({"member": number, "backbone": backbone, "average_recall_at_1": recall})
    return found


def _average_recall(queries: Labelled, gallery: Labelled) -> float | None:
    scores = score_queries(queries.vectors, queries.categories, gallery.vectors, gallery.categories, ks=(1,))
    results = [scores.mean(queries.tasks == task) for task in np.unique(queries.tasks).tolist()]
    recalls = [result.recall[1] for result in results if result.queries]
    return sum(recalls) / len(recalls) if recalls else None
