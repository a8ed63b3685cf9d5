"""Learn a task, refresh the gallery, measure, publish: the main job."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from continual_dml import __version__
from continual_dml.embedding.extract import extract_each, side_by_side
from continual_dml.embedding.precision import choose_compute
from continual_dml.pixels import SelectedRows
from continual_dml.ports import Draft, ImageReader, ProgressListener, Store, TrainingLog
from continual_dml.records import (
    GalleryPart,
    Generation,
    LabelledImages,
    NewItem,
    Publication,
    TaskSummary,
    VectorState,
)
from continual_dml.report_pages import ReportPainter
from continual_dml.reports import Measured, build_report
from continual_dml.settings import NO_LIMIT, RefreshBudget, Settings
from continual_dml.strategies.carrying import Carrying
from continual_dml.strategies.learner import LearnedTask, Learner
from continual_dml.strategies.state import LearnerState
from continual_dml.strategies.unknown_tests import UnknownTest
from continual_dml.workflows.drafting import drafting
from continual_dml.workflows.fingerprint_files import Fingerprints, write_fingerprints
from continual_dml.workflows.live_model import LiveModel, head_of, require_same_model
from continual_dml.workflows.next_generation import Asked, Moved, NewQueries, NextGeneration, with_new_items
from continual_dml.workflows.plan_task import TaskPlan
from continual_dml.workflows.precision_check import seen_in_full
from continual_dml.workflows.quality_gate import with_gate
from continual_dml.workflows.refresh_gallery import RefreshTools
from continual_dml.workflows.report_files import Arriving, Pages, write_report
from continual_dml.workflows.state_files import stored_state
from continual_dml.workflows.stopwatch import Stopwatch


@dataclass(frozen=True, slots=True, eq=False)
class IngestContext:
    """All that an ingest works with besides the task itself.

    ``budget``: how much of the gallery may be embedded anew; ``restart``: begin anew where an interrupted run
    could go on; ``painter``: of the report's page, None for no page; ``log``: told each step's loss terms;
    ``directory``: of files that vanish with the process, None for the system's own.
    """

    store: Store
    reader: ImageReader
    settings: Settings
    refresh: str
    pretrained: Mapping[str, NDArray[Any]] | None
    listener: ProgressListener
    restart: bool = False
    budget: RefreshBudget = NO_LIMIT
    painter: ReportPainter | None = None
    log: TrainingLog | None = None
    directory: Path | None = None


@dataclass(frozen=True, slots=True, eq=False)
class IngestResult:
    """The new generation, the summary of its task, and its report (schema_version 1)."""

    generation: Generation
    task: TaskSummary
    report: dict[str, Any]


def ingest_task(plan: TaskPlan, context: IngestContext) -> IngestResult:
    """Learn ``plan`` and publish what comes of it, live if its quality gate says so; on any error nothing is.

    Raises:
        NotFiniteLoss: training diverged.
        CorruptIndex: a file of the live generation differs from its manifest.
        GalleryError: ``refresh`` is ``reembed`` and an earlier image is gone.
    """
    with drafting(context.store, plan.task.name) as draft:
        return _Ingest(plan, context, draft).run()


class _Ingest:
    """One run of the use case: the values that its steps share."""

    def __init__(self, plan: TaskPlan, context: IngestContext, draft: Draft) -> None:
        self.plan = plan
        self.context = context
        self.draft = draft
        self.watch = Stopwatch()
        self.compute = choose_compute(context.settings.training.device, context.settings.training.precision)
        tools = RefreshTools(context.store, context.reader, context.listener)
        self.next = NextGeneration(tools, context.settings, draft)
        if self.next.parent:
            require_same_model(self.next.parent.config, context.settings)
        self.category_ids = context.store.category_ids()
        for offset, name in enumerate(plan.new_categories):
            self.category_ids[name] = draft.first_category_id + offset
        first, split = draft.first_item_id, len(plan.gallery_rows)
        self.gallery_ids = np.arange(first, first + split, dtype=np.int64)
        self.query_ids = np.arange(first + split, first + split + len(plan.query_rows), dtype=np.int64)

    def run(self) -> IngestResult:
        settings = self.context.settings
        before = self._state_before()
        learned = self._learn(before)
        model = self._live_model(learned)
        with self.watch.stage("evaluate"):
            unknown = self.next.tested_before(before, learned.features_before, self._new_labels())
        parts = self._refreshed(learned, model)
        new = self._new_queries(learned)
        with self.watch.stage("embed queries"):
            asked = self.next.asked(model, new)
        tasks = self._tasks()
        with self.watch.stage("evaluate"):
            measured = self._measured(before, model, parts, asked, tasks, unknown)
        if measured.precision is not None and measured.precision["note"] is not None:
            self.context.listener.note(measured.precision["note"])
        with self.watch.stage("write"):
            self.next.write(model, parts, asked)
            self._write_fingerprints()
            for record in self.plan.records(self.plan.query_rows):
                self.draft.keep_query_copy(record)
        report = build_report(
            generation=self.draft.generation_id,
            parent=self.next.parent_report or None,
            tasks=tasks,
            measured=measured,
            recall_at=settings.evaluation.recall_at,
            seconds=self.watch.seconds(),
            loss_terms=learned.loss_terms,
            method=settings.training.method,
            drift=[asdict(choice) for choice in learned.drift_choices],
        )
        searched = self._images().labels.tolist()
        report = with_gate(report, self.next.parent_report, new.categories.tolist(), searched, settings.gate)
        publication = self._publication(measured, report["gate"]["refusal"])
        self._write_report(report, measured, publication, tasks[-1])
        self.context.listener.start("publishing", 1)
        generation = self.draft.publish(publication, {"settings": settings.as_dict()})
        return IngestResult(generation, tasks[-1], report)

    def _state_before(self) -> LearnerState | None:
        parent = self.next.parent
        return None if parent is None else stored_state(parent, self.context.settings.model.cohort)

    def _learn(self, state: LearnerState | None) -> LearnedTask:
        context = self.context
        key = self._key()
        checkpoints, self.shards = context.store.checkpoints(key), context.store.shards(key)
        if context.restart:
            checkpoints.remove()
            self.shards.remove()
        given = context.settings, context.pretrained, self.compute, context.listener
        learner = Learner(*given, checkpoints, self.shards, context.log, context.directory)
        with self.watch.stage("learn"):
            return learner.learn(self.plan.task.name, self._images(), state, self.draft.generation_id)

    def _key(self) -> str:
        """Return a hash of all that decides the training: equal keys, equal runs."""
        parent = self.next.parent.generation.manifest_sha256 if self.next.parent else None
        records = self.plan.records(self.plan.gallery_rows)
        decides = {
            "parent": parent,
            "settings": {**self.context.settings.as_dict(), "gate": None},  # it decides nothing here
            "compute": [str(self.compute.device), self.compute.bf16],
            "versions": [__version__, torch.__version__],
            "images": [[r.content_hash, self.category_ids[r.category]] for r in records],
        }
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()

    def _images(self) -> LabelledImages:
        pixels = SelectedRows(self.plan.task.pixels, self.plan.gallery_rows)
        return LabelledImages(pixels, self._new_labels())

    def _new_labels(self) -> NDArray[np.int64]:
        labels = [self.category_ids[r.category] for r in self.plan.records(self.plan.gallery_rows)]
        return np.array(labels, dtype=np.int64)

    def _live_model(self, learned: LearnedTask) -> LiveModel:
        settings = self.context.settings
        return LiveModel(
            self.draft.generation_id,
            learned.embedders,
            head_of(learned.state, settings),
            learned.state,
            Carrying(learned.state, settings),
            self.compute,
            learned.moved,
            self.shards,
        )

    def _refreshed(self, learned: LearnedTask, model: LiveModel) -> list[GalleryPart]:
        """Return earlier items refreshed, and as the last part what the live model has embedded."""
        with self.watch.stage("refresh"):
            parts, renewed = self.next.refreshed(model, self.context.refresh, self.context.budget)
            ids = np.concatenate([self.gallery_ids, renewed.ids])
            stored = np.concatenate([learned.features, renewed.features]).astype(np.float16)
            vectors = model.carrying.vectors(stored, model.generation)
            fresh = GalleryPart(model.generation, VectorState.FRESH, ids, stored, vectors)
        return [*parts, fresh]

    def _new_queries(self, learned: LearnedTask) -> NewQueries:
        rows, listener = self.plan.query_rows, self.context.listener
        records = self.plan.records(rows)
        with self.watch.stage("embed queries"):
            listener.start("embedding new queries", len(rows))
            pixels = SelectedRows(self.plan.task.pixels, rows)
            features = side_by_side(extract_each(learned.embedders, pixels, self.compute, listener))
        new = NewQueries(
            self.draft.task_id,
            self.query_ids,
            features,
            np.array([self.category_ids[record.category] for record in records], dtype=np.int64),
            [record.content_hash for record in records],
        )
        with self.watch.stage("check precision"):
            in_full = seen_in_full(learned.embedders, pixels, new.order, self.compute, listener)
        return replace(new, in_full=in_full)

    def _measured(
        self,
        before: LearnerState | None,
        model: LiveModel,
        parts: list[GalleryPart],
        asked: Asked,
        tasks: list[TaskSummary],
        unknown: UnknownTest | None,
    ) -> Measured:
        known = self.context.store.gallery_labels()
        labels = with_new_items(known, self.gallery_ids, self._new_labels(), self.draft.task_id)
        moved = None
        if before is not None and model.moved:
            moved = Moved(Carrying(before, self.context.settings), self.draft.task_id)
        return self.next.measured(model, parts, labels, asked, tasks, moved, unknown)

    def _write_report(
        self, report: dict[str, Any], measured: Measured, publication: Publication, task: TaskSummary
    ) -> None:
        context = self.context
        arriving = Arriving(publication.items, publication.new_categories, [task])
        pages = Pages(context.painter, context.listener)
        write_report(self.draft, report, measured.details, context.store, pages, arriving)

    def _write_fingerprints(self) -> None:
        codes = self.plan.task.fingerprints
        if codes is not None:
            rows = np.concatenate([self.plan.gallery_rows, self.plan.query_rows])
            ids = np.concatenate([self.gallery_ids, self.query_ids])
            write_fingerprints(self.draft, Fingerprints(ids, codes[rows]))

    def _tasks(self) -> list[TaskSummary]:
        plan = self.plan
        new = TaskSummary(
            task_id=self.draft.task_id,
            name=plan.task.name,
            source=plan.task.source,
            method=self.context.settings.training.method,
            generation_id=self.draft.generation_id,
            categories=len(plan.categories),
            train_images=len(plan.gallery_rows),
            query_images=len(plan.query_rows),
            quarantined=plan.quarantined,
        )
        return [*self.context.store.tasks(), new]

    def _publication(self, measured: Measured, refusal: str | None) -> Publication:
        return Publication(
            task_name=self.plan.task.name,
            source=self.plan.task.source,
            method=self.context.settings.training.method,
            new_categories={self.category_ids[name]: name for name in self.plan.new_categories},
            items=self._new_items(),
            quarantined=self.plan.quarantined,
            parts=measured.parts,
            measurements=measured.measurements,
            refusal=refusal,
        )

    def _new_items(self) -> list[NewItem]:
        rows = np.concatenate([self.plan.gallery_rows, self.plan.query_rows])
        ids = np.concatenate([self.gallery_ids, self.query_ids])
        return [
            NewItem(int(i), self.category_ids[r.category], r.role, r.content_hash, r.path)
            for i, r in zip(ids, self.plan.records(rows), strict=True)
        ]
