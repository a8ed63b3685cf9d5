"""Learn a task, refresh the gallery, measure, publish: the main job."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from continual_dml import __version__
from continual_dml.embedding.extract import extract_each, side_by_side
from continual_dml.embedding.precision import choose_compute
from continual_dml.errors import SettingsError
from continual_dml.pixels import SelectedRows
from continual_dml.ports import Artefacts, Draft, ImageReader, ProgressListener, Store
from continual_dml.records import (
    GalleryPart,
    Generation,
    LabelledImages,
    NewItem,
    PartCount,
    Publication,
    TaskSummary,
    VectorState,
)
from continual_dml.reports import build_report
from continual_dml.settings import Settings
from continual_dml.strategies.learner import LearnedTask, Learner
from continual_dml.strategies.state import LearnerState
from continual_dml.workflows.drafting import drafting
from continual_dml.workflows.embed_files import embed_files
from continual_dml.workflows.evaluate import Labelled, measure_all
from continual_dml.workflows.gallery_files import items_file, stored_parts, vectors_file
from continual_dml.workflows.members_alone import members_alone
from continual_dml.workflows.plan_task import TaskPlan
from continual_dml.workflows.refresh_gallery import LiveModel, refresh_part
from continual_dml.workflows.state_files import stored_state, write_state
from continual_dml.workflows.stopwatch import Stopwatch


@dataclass(frozen=True, slots=True, eq=False)
class IngestContext:
    """All that an ingest works with besides the task itself.

    ``restart``: begin anew, where an interrupted run of the same ingest could go on.
    """

    store: Store
    reader: ImageReader
    settings: Settings
    refresh: str
    pretrained: Mapping[str, NDArray[Any]] | None
    listener: ProgressListener
    restart: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class IngestResult:
    """The published generation, the summary of its task, and its report (schema_version 1)."""

    generation: Generation
    task: TaskSummary
    report: dict[str, Any]


def ingest_task(plan: TaskPlan, context: IngestContext) -> IngestResult:
    """Learn ``plan`` and publish the next generation; on any error nothing is published.

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
        head = context.store.head()
        self.parent: Artefacts | None = context.store.open_generation(head) if head else None
        if self.parent:
            _check_same_model(self.parent.config, context.settings)
        self.parent_report: dict[str, Any] = self.parent.read_json("report.json") if self.parent else {}
        self.category_ids = context.store.category_ids()
        for offset, name in enumerate(plan.new_categories):
            self.category_ids[name] = draft.first_category_id + offset
        first, split = draft.first_item_id, len(plan.gallery_rows)
        self.gallery_ids = np.arange(first, first + split, dtype=np.int64)
        self.query_ids = np.arange(first + split, first + split + len(plan.query_rows), dtype=np.int64)

    def run(self) -> IngestResult:
        learned = self._learn()
        parts = self._refresh(learned)
        queries = self._query_vectors(learned)
        gallery = self._gallery(parts)
        tasks = self._tasks()
        with self.watch.stage("evaluate"):
            ids = [task.task_id for task in tasks]
            recall_at = self.context.settings.evaluation.recall_at
            measurements = measure_all(ids, queries, gallery, recall_at)
            settings, features = self.context.settings, self.query_features
            members = members_alone(learned.state, settings, parts, gallery, queries, features)
        counts = [PartCount(part.birth_generation, part.state, len(part.ids)) for part in parts]
        with self.watch.stage("write"):
            self._write(learned.state, parts)
        report = build_report(
            generation=self.draft.generation_id,
            parent=self.parent_report or None,
            tasks=tasks,
            measurements=measurements,
            parts=counts,
            recall_at=recall_at,
            seconds=self.watch.seconds(),
            loss_terms=learned.loss_terms,
            method=self.context.settings.training.method,
            members=members,
        )
        self.draft.write_json("report.json", report)
        publication = Publication(
            task_name=self.plan.task.name,
            source=self.plan.task.source,
            method=self.context.settings.training.method,
            new_categories={self.category_ids[name]: name for name in self.plan.new_categories},
            items=self._new_items(),
            quarantined=self.plan.quarantined,
            parts=counts,
            measurements=measurements,
        )
        self.context.listener.start("publishing", 1)
        generation = self.draft.publish(publication, {"settings": self.context.settings.as_dict()})
        return IngestResult(generation, tasks[-1], report)

    def _learn(self) -> LearnedTask:
        state = None
        if self.parent is not None:
            state = stored_state(self.parent, self.context.settings.model.cohort)
        context = self.context
        key = self._key()
        checkpoints, self.shards = context.store.checkpoints(key), context.store.shards(key)
        if context.restart:
            checkpoints.remove()
            self.shards.remove()
        learner = Learner(
            context.settings, context.pretrained, self.compute, context.listener, checkpoints, self.shards
        )
        with self.watch.stage("learn"):
            return learner.learn(self.plan.task.name, self._images(), state, self.draft.generation_id)

    def _key(self) -> str:
        """Return a hash of all that decides the training: equal keys, equal runs."""
        parent = self.parent.generation.manifest_sha256 if self.parent else None
        records = self.plan.records(self.plan.gallery_rows)
        decides = {
            "parent": parent,
            "settings": self.context.settings.as_dict(),
            "compute": [str(self.compute.device), self.compute.bf16],
            "versions": [__version__, torch.__version__],
            "images": [[r.content_hash, self.category_ids[r.category]] for r in records],
        }
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()

    def _images(self) -> LabelledImages:
        labels = [self.category_ids[r.category] for r in self.plan.records(self.plan.gallery_rows)]
        pixels = SelectedRows(self.plan.task.pixels, self.plan.gallery_rows)
        return LabelledImages(pixels, np.array(labels, dtype=np.int64))

    def _refresh(self, learned: LearnedTask) -> list[GalleryPart]:
        training, model = self.context.settings.training, self.context.settings.model
        self.head = learned.state.live_head(
            statistics_head=training.uses_statistics_head, square_root=model.takes_square_root
        )
        live = LiveModel(
            self.draft.generation_id,
            learned.embedders,
            self.head,
            learned.state,
            self.compute,
            learned.moved,
            self.shards,
        )
        ids, features = [self.gallery_ids], [learned.features]
        parts: list[GalleryPart] = []
        with self.watch.stage("refresh"):
            for part in stored_parts(self.parent, self.parent_report) if self.parent else ():
                context = self.context
                kept, renewed = refresh_part(
                    part, context.refresh, live, context.store, context.reader, context.listener
                )
                if kept is not None:
                    parts.append(kept)
                if renewed is not None:
                    ids.append(renewed.ids)
                    features.append(renewed.features)
            stored = np.concatenate(features).astype(np.float16)
            vectors = self.head(stored)
        fresh = GalleryPart(live.generation, VectorState.FRESH, np.concatenate(ids), stored, vectors)
        return [*parts, fresh]

    def _query_vectors(self, learned: LearnedTask) -> Labelled:
        """Embed the queries of all tasks anew: the workspace's copies of old ones, and the new task's."""
        items = self.context.store.query_items()
        paths = [self.context.store.query_copy_path(item.content_hash) for item in items]
        with self.watch.stage("embed queries"):
            self.context.listener.start("embedding queries", len(paths) + len(self.query_ids))
            hashes = [item.content_hash for item in items]
            old, positions = embed_files(
                paths, hashes, learned.embedders, self.compute,
                self.context.reader, self.context.listener, self.shards,
            )  # fmt: skip
            fresh_pixels = SelectedRows(self.plan.task.pixels, self.plan.query_rows)
            seen = extract_each(learned.embedders, fresh_pixels, self.compute, self.context.listener)
        read = [items[int(position)] for position in positions]
        records = self.plan.records(self.plan.query_rows)
        categories = [item.category_id for item in read] + [self.category_ids[r.category] for r in records]
        tasks = [item.task_id for item in read] + [self.draft.task_id] * len(records)
        self.query_features = np.concatenate([old, side_by_side(seen)])
        return Labelled(
            self.head(self.query_features),
            np.array(categories, dtype=np.int64),
            np.array(tasks, dtype=np.int64),
        )

    def _gallery(self, parts: list[GalleryPart]) -> Labelled:
        ids = np.concatenate([part.ids for part in parts])
        known = self.context.store.items([int(i) for i in ids if i < self.draft.first_item_id])
        labels = {item_id: (item.category_id, item.task_id) for item_id, item in known.items()}
        for item_id, record in zip(self.gallery_ids, self.plan.records(self.plan.gallery_rows), strict=True):
            labels[int(item_id)] = (self.category_ids[record.category], self.draft.task_id)
        pairs = np.array([labels[int(item_id)] for item_id in ids], dtype=np.int64)
        return Labelled(np.concatenate([part.vectors for part in parts]), pairs[:, 0], pairs[:, 1])

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

    def _write(self, state: LearnerState, parts: list[GalleryPart]) -> None:
        # Items never join a part after its birth, so an equal count means equal items.
        earlier = self.parent_report.get("parts", [])
        counts = {int(part["birth_generation"]): int(part["items"]) for part in earlier}
        kept = state.needed_for([part.birth_generation for part in parts])
        write_state(kept, self.draft, self.parent)
        for part in parts:
            items = items_file(part.birth_generation)
            if counts.get(part.birth_generation) == len(part.ids):
                self.draft.inherit(items)
            else:
                self.draft.write_tensors(items, {"ids": part.ids, "features": part.features})
            self.draft.write_tensors(vectors_file(part.birth_generation), {"vectors": part.vectors})
        self.draft.write_index(
            np.concatenate([part.ids for part in parts]), np.concatenate([part.vectors for part in parts])
        )
        for record in self.plan.records(self.plan.query_rows):
            self.draft.keep_query_copy(record)

    def _new_items(self) -> list[NewItem]:
        rows = np.concatenate([self.plan.gallery_rows, self.plan.query_rows])
        ids = np.concatenate([self.gallery_ids, self.query_ids])
        return [
            NewItem(int(i), self.category_ids[r.category], r.role, r.content_hash, r.path)
            for i, r in zip(ids, self.plan.records(rows), strict=True)
        ]


def _check_same_model(config: Mapping[str, Any], settings: Settings) -> None:
    now = settings.as_dict()["model"]
    for name, earlier in config["settings"]["model"].items():
        if now.get(name) != earlier:
            raise SettingsError(
                f"the workspace was built with {name} {earlier}, and cdml.toml says {now.get(name)}: "
                "the network is fixed at `cdml init`, set it back or make a new workspace"
            )
