"""The no-match threshold of a new generation: tested on the new task, calibrated on what is held out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.metrics.nearest_categories import NearestCategories
from continual_dml.ports import Artefacts
from continual_dml.settings import Settings
from continual_dml.strategies.acceptance import AcceptanceRule
from continual_dml.strategies.no_match import calibrate
from continual_dml.strategies.state import LearnerState
from continual_dml.strategies.unknown_tests import UnknownTest, Vectors, try_on_unknown
from continual_dml.workflows.evaluate import Labelled


def try_generation_before(
    parent: Artefacts,
    state: LearnerState,
    gallery: Labelled,
    features: NDArray[np.float32],
    categories: NDArray[np.int64],
    task_id: int,
) -> UnknownTest | None:
    """Return what the generation before says of a new task's categories; None where it knows all of them.

    Args:
        parent: the generation before.
        state: what it had learned.
        gallery: its gallery, in its own space.
        features: (N, F) of the new images, as its networks see them.
        categories: (N,) of these images.
        task_id: of the new task.
    """
    settings = Settings.from_dict(parent.config["settings"])
    head = state.live_head(
        statistics_head=settings.training.uses_statistics_head, square_root=settings.model.takes_square_root
    )
    return try_on_unknown(
        Vectors(head(features), categories),
        Vectors(gallery.vectors, gallery.categories),
        AcceptanceRule.from_report(parent.read_json("report.json")),
        parent.generation.generation_id,
        task_id,
    )


def no_match_document(
    queries: Labelled,
    nearest: NearestCategories,
    gallery: Labelled,
    settings: Settings,
    parent_report: Mapping[str, Any],
    unknown: UnknownTest | None,
) -> dict[str, Any]:
    """Return what the report says of the threshold: a calibration as plain values.

    Args:
        queries: of all tasks, embedded by the live model.
        nearest: the two categories of the gallery that are nearest to each of them.
        gallery: as it is searched.
        settings: say how many false accepts are wanted.
        parent_report: of the generation before; has the tests of those before it.
        unknown: what the generation before said of the new task's categories.
    """
    earlier = parent_report.get("no_match", {}).get("tests", [])
    tests = [UnknownTest.from_document(one) for one in earlier]
    calibration = calibrate(
        Vectors(queries.vectors, queries.categories),
        Vectors(gallery.vectors, gallery.categories),
        settings.evaluation.false_accepts,
        tests if unknown is None else [*tests, unknown],
        nearest,
    )
    return calibration.to_document()
