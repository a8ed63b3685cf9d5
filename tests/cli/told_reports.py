"""Reports of streams that nobody learned: real figures and details of made-up vectors, to draw pages of."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from continual_dml.records import Measurement, PartCount, QuarantinedFile, TaskSummary, VectorState
from continual_dml.report_pages import Picture, ReportContent, pictured_items
from continual_dml.reports import Measured, build_report
from continual_dml.workflows.evaluate import Labelled, measure_all
from continual_dml.workflows.report_details import report_details

OF_EACH, ITEMS, QUERIES = 3, 6, 3
"""So many categories in each task, and so many gallery images and queries in each category."""


def told_content(
    names: Sequence[str],
    category_names: Sequence[str] = (),
    pictures: Path | None = None,
    quarantined: Sequence[QuarantinedFile] = (),
    *,
    details: bool = True,
) -> ReportContent:
    """Return what a page shows after as many tasks as there are ``names``.

    Args:
        names: of tasks.
        category_names: of the first categories; the others are called by number.
        pictures: folder to write a picture of each image to that is shown; None for pictures that are gone.
        quarantined: files that the last task left out.
        details: whether it has any.
    """
    queries, gallery = _drawn(len(names), QUERIES, seed=1), _drawn(len(names), ITEMS, seed=2)
    tasks = [
        TaskSummary(number, name, f"/photos/{number}", "finetune", number, OF_EACH, ITEMS * OF_EACH, QUERIES)
        for number, name in enumerate(names, start=1)
    ]
    report: dict = {}
    for last in range(1, len(names) + 1):
        ids = list(range(1, last + 1))
        seen, searched = _until(queries, last), _until(gallery, last)
        evaluation = measure_all(ids, seen, searched, (1, 2, 4))
        report = build_report(
            generation=last,
            parent=report or None,
            tasks=tasks[:last],
            measured=_measured(evaluation.measurements, len(searched.ids)),
            recall_at=(1, 2, 4),
            seconds={"learn": 2.5, "total": 3.0},
            loss_terms={},
            method="finetune",
        )
    hashes = [f"{number:064x}" for number in queries.ids]
    found = report_details(len(names), queries, hashes, evaluation.closest, gallery) if details else None
    categories = {number: f"category-{number}" for number in range(OF_EACH * len(names))}
    categories.update(enumerate(category_names))
    shown = [] if found is None else pictured_items(found)
    return ReportContent(
        report,
        found,
        categories,
        _pictured(shown, pictures),
        [(names[-1], quarantined)] if quarantined else [],
    )


def _drawn(tasks: int, of_each: int, seed: int) -> Labelled:
    random = np.random.default_rng(seed)
    categories = np.repeat(np.arange(OF_EACH * tasks), of_each)
    centres = np.random.default_rng(0).normal(size=(OF_EACH * tasks, 8))
    vectors = centres[categories] + 0.7 * random.normal(size=(len(categories), 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = np.arange(len(categories)) + 100_000 * seed
    return Labelled(vectors.astype(np.float32), categories, categories // OF_EACH + 1, ids)


def _until(everything: Labelled, last: int) -> Labelled:
    rows = everything.tasks <= last
    return Labelled(
        *(part[rows] for part in (everything.vectors, everything.categories, everything.tasks)),
        everything.ids[rows],
    )


def _measured(measurements: list[Measurement], items: int) -> Measured:
    return Measured(measurements, [PartCount(1, VectorState.FRESH, items)])


def _pictured(shown: Sequence[int], folder: Path | None) -> dict[int, Picture]:
    if folder is None:
        return {number: Picture(f"/gone/{number}.png", "0" * 64) for number in shown}
    found = {}
    for number in shown:
        path = folder / f"{number}.png"
        Image.new("RGB", (12, 12), (number % 256, 90, 160)).save(path)
        found[number] = Picture(str(path), hashlib.sha256(path.read_bytes()).hexdigest())
    return found
