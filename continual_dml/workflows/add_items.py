"""Enrol images without learning: the live model embeds them, and they can be found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from continual_dml import __version__
from continual_dml.embedding.extract import Extracted, side_by_side
from continual_dml.embedding.kept_chunks import extract_in_chunks
from continual_dml.pixels import SelectedRows
from continual_dml.ports import Artefacts, Draft, ProgressListener, Store
from continual_dml.records import (
    ADDED,
    GalleryPart,
    Generation,
    NewItem,
    PartCount,
    Publication,
    Role,
    TaskSummary,
    VectorState,
)
from continual_dml.report_pages import REPORT_FILE, ReportPainter
from continual_dml.reports import with_images
from continual_dml.settings import Settings
from continual_dml.strategies.remembering import memory_with_more
from continual_dml.strategies.state import LearnerState
from continual_dml.workflows.drafting import drafting
from continual_dml.workflows.fingerprint_files import Fingerprints, write_fingerprints
from continual_dml.workflows.gallery_files import stored_parts
from continual_dml.workflows.joining_part import JoiningPart
from continual_dml.workflows.live_model import LiveModel, require_same_model, settings_of, unmoved_model
from continual_dml.workflows.plan_task import TaskPlan, require_model
from continual_dml.workflows.report_files import (
    FILES,
    Arriving,
    Pages,
    parent_details,
    write_report,
)
from continual_dml.workflows.state_files import write_statistics


@dataclass(frozen=True, slots=True, eq=False)
class AddResult:
    """The published generation, what was added, and the report, whose figures are those from before."""

    generation: Generation
    addition: TaskSummary
    report: dict[str, Any]


Seen = Callable[[LiveModel], list[Extracted]]
"""What the live model makes of the images, each member of a cohort by itself."""


def add_items(
    plan: TaskPlan,
    store: Store,
    settings: Settings,
    listener: ProgressListener,
    painter: ReportPainter | None = None,
    seen: Seen | None = None,
) -> AddResult:
    """Publish the live generation with the images of ``plan``; on any error nothing is published.

    Nothing is trained and no image is held out. Model, head and drift maps stay, so that no vector of another
    image changes. The statistics of the images' classes join those of the model, for the next task to use.

    Args:
        plan: of :func:`continual_dml.workflows.plan_task.plan_addition`.
        store: open for writing.
        settings: where to compute; the network is that of the live generation.
        listener: told one unit per image.
        painter: of the report's page, None for no page.
        seen: what the live model made of the images of ``plan``, where that is known; None embeds them.

    Raises:
        CatalogError: no task is learned yet.
        SettingsError: the settings name another network, or a device that is not there.
        CorruptIndex: a file of the live generation differs from its manifest.
    """
    parent = store.open_generation(require_model(store))
    require_same_model(parent.config, settings)
    with drafting(store, plan.task.name) as draft:
        return _Addition(
            plan, parent, store, settings_of(parent, settings), draft, Pages(painter, listener)
        ).run(seen)


class _Addition:
    """One run of the use case: the values that its steps share."""

    def __init__(
        self,
        plan: TaskPlan,
        parent: Artefacts,
        store: Store,
        settings: Settings,
        draft: Draft,
        pages: Pages,
    ) -> None:
        self.plan = plan
        self.parent = parent
        self.settings = settings
        self.draft = draft
        self.store = store
        self.pages = pages
        self.listener = pages.listener
        self.records = plan.records(plan.gallery_rows)
        self.category_ids = store.category_ids()
        for offset, name in enumerate(plan.new_categories):
            self.category_ids[name] = draft.first_category_id + offset
        self.ids = np.arange(draft.first_item_id, draft.first_item_id + len(self.records), dtype=np.int64)
        self.shards = store.shards(self._key())

    def run(self, known: Seen | None) -> AddResult:
        model = unmoved_model(self.parent, self.draft.generation_id, self.settings, self.shards)
        seen = self._embedded(model) if known is None else known(model)
        stored = side_by_side(seen).astype(np.float16)
        vectors = model.carrying.vectors(stored, model.generation)
        part = GalleryPart(model.generation, VectorState.FRESH, self.ids, stored, vectors)
        report = self.parent.read_json(REPORT_FILE)
        self._write(part, report, model, self._state(model, seen))
        count = PartCount(part.birth_generation, part.state, len(part.ids))
        after = with_images(report, model.generation, count, len(self.plan.new_categories))
        publication, addition = self._publication(after), self._summary()
        arriving = Arriving(publication.items, publication.new_categories, [addition])
        write_report(self.draft, after, parent_details(self.parent), self.store, self.pages, arriving)
        self.listener.start("publishing", 1)
        generation = self.draft.publish_addition(publication, dict(self.parent.config))
        return AddResult(generation, addition, after)

    def _key(self) -> str:
        """Return a hash of all that decides what the images become: equal keys, equal features."""
        decides = {
            "addition to": self.parent.generation.manifest_sha256,
            "settings": self.settings.as_dict(),
            "versions": [__version__, torch.__version__],
            "images": [record.content_hash for record in self.records],
        }
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()

    def _embedded(self, model: LiveModel) -> list[Extracted]:
        pixels = SelectedRows(self.plan.task.pixels, self.plan.gallery_rows)
        self.listener.start("embedding images", len(pixels))
        return extract_in_chunks(model.embedders, pixels, model.compute, self.listener, self.shards)

    def _state(self, model: LiveModel, seen: list[Extracted]) -> LearnerState:
        labels = np.array([self.category_ids[record.category] for record in self.records], dtype=np.int64)
        task, rank = model.state.tasks_learned - 1, self.settings.training.class_rank
        members = tuple(
            memory_with_more(memory, own, labels, task=task, rank=rank)
            for memory, own in zip(model.state.members, seen, strict=True)
        )
        return replace(model.state, members=members)

    def _write(
        self, part: GalleryPart, report: dict[str, Any], model: LiveModel, state: LearnerState
    ) -> None:
        """Write what is new and the index over all, and take over all else."""
        draft = self.draft
        joining = JoiningPart(part, model.carrying, list(stored_parts(self.parent, report)), draft)
        written = {*FILES, *self.parent.index_files, *write_statistics(state, draft), *joining.outdated()}
        for name in self.parent.names():
            if name not in written:
                draft.inherit(name)
        joining.write()
        codes = self.plan.task.fingerprints
        if codes is not None:
            write_fingerprints(draft, Fingerprints(part.ids, codes[self.plan.gallery_rows]))

    def _publication(self, report: dict[str, Any]) -> Publication:
        return Publication(
            task_name=self.plan.task.name,
            source=self.plan.task.source,
            method=ADDED,
            new_categories={self.category_ids[name]: name for name in self.plan.new_categories},
            items=[
                NewItem(int(i), self.category_ids[r.category], Role.GALLERY, r.content_hash, r.path)
                for i, r in zip(self.ids, self.records, strict=True)
            ],
            quarantined=self.plan.quarantined,
            parts=[
                PartCount(part["birth_generation"], VectorState(part["state"]), part["items"])
                for part in report["parts"]
            ],
            measurements=(),
        )

    def _summary(self) -> TaskSummary:
        return TaskSummary(
            task_id=self.draft.task_id,
            name=self.plan.task.name,
            source=self.plan.task.source,
            method=ADDED,
            generation_id=self.draft.generation_id,
            categories=len(self.plan.categories),
            train_images=len(self.records),
            query_images=0,
            quarantined=self.plan.quarantined,
        )
