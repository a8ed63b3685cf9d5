"""Bring the gallery up to date without learning: embed anew what is reachable, carry the rest forward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from continual_dml.errors import CatalogError
from continual_dml.ports import Artefacts, Draft
from continual_dml.records import GalleryPart, GalleryRefresh, Generation, VectorState
from continual_dml.reports import build_report, without_last_row
from continual_dml.settings import RefreshBudget, Settings
from continual_dml.workflows.drafting import drafting
from continual_dml.workflows.live_model import LiveModel, settings_of, unmoved_model
from continual_dml.workflows.next_generation import NextGeneration
from continual_dml.workflows.quality_gate import with_gate_of_refresh
from continual_dml.workflows.refresh_gallery import RefreshTools
from continual_dml.workflows.report_files import Pages, write_report
from continual_dml.workflows.stopwatch import Stopwatch


@dataclass(frozen=True, slots=True, eq=False)
class RefreshResult:
    """The generation that is live now, how many items are in which state before and after, and the report.

    ``reembedded``: items whose images were opened. Where nothing would have changed nothing was published:
    ``generation`` and ``report`` are those from before.
    """

    generation: Generation
    reembedded: int
    before: dict[str, int]
    after: dict[str, int]
    report: dict[str, Any]
    published: bool

    @property
    def promoted(self) -> bool:
        """Whether ``generation`` is live: its quality gate may have refused it."""
        return not self.published or bool(self.report["gate"]["passed"])


def refresh_items(mode: str, budget: RefreshBudget, tools: RefreshTools, settings: Settings) -> RefreshResult:
    """Publish the live generation with its gallery refreshed; nothing is published where nothing changes.

    The model stays as it is. Items that are stale or carried forward are embedded anew as far as mode, budget
    and files allow, those that the drift maps know least about first, and the others are carried forward.

    Args:
        mode: ``auto``, ``reembed`` or ``project``.
        budget: of ``auto``.
        tools: the store, and what it takes to open images.
        settings: where to compute and what to measure; the network and its head are those of the generation.

    Raises:
        CatalogError: nothing is ingested yet.
        GalleryError: ``reembed`` and an image is missing or has changed.
        CorruptIndex: a file of the live generation is damaged.
    """
    head = tools.store.head()
    if head is None:
        raise CatalogError("no task is ingested yet: there is nothing to refresh")
    parent = tools.store.open_generation(head)
    with drafting(tools.store, "refresh of the gallery") as draft:
        return _Refresh(parent, draft, tools, settings).run(mode, budget)


class _Refresh:
    """One run of the use case: the values that its steps share."""

    def __init__(self, parent: Artefacts, draft: Draft, tools: RefreshTools, settings: Settings) -> None:
        self.parent = parent
        self.draft = draft
        self.tools = tools
        self.settings = settings_of(parent, settings)
        self.next = NextGeneration(tools, self.settings, draft)
        self.watch = Stopwatch()

    def run(self, mode: str, budget: RefreshBudget) -> RefreshResult:
        before = _counts(self.next.parent_report["parts"])
        with self.watch.stage("refresh"):
            model = unmoved_model(self.parent, self.draft.generation_id, self.settings)
            parts, renewed = self.next.refreshed(model, mode, budget)
            if len(renewed.ids):
                stored = renewed.features.astype(np.float16)
                ids, vectors = renewed.ids, model.carrying.vectors(stored, model.generation)
                parts.append(GalleryPart(model.generation, VectorState.FRESH, ids, stored, vectors))
        if not len(renewed.ids) and not before[VectorState.STALE.value]:
            self.draft.abandon()
            report = self.next.parent_report
            return RefreshResult(self.parent.generation, 0, before, before, report, published=False)
        generation, report = self._published(model, parts)
        after = _counts(report["parts"])
        return RefreshResult(generation, len(renewed.ids), before, after, report, published=True)

    def _published(self, model: LiveModel, parts: list[GalleryPart]) -> tuple[Generation, dict[str, Any]]:
        tasks = self.tools.store.tasks()
        with self.watch.stage("embed queries"):
            asked = self.next.asked(model, None)
        with self.watch.stage("evaluate"):
            labels = self.tools.store.gallery_labels()
            measured = self.next.measured(model, parts, labels, asked, tasks, None)
        with self.watch.stage("write"):
            self.next.write(model, parts, asked)
        earlier = self.next.parent_report
        report = build_report(
            generation=self.draft.generation_id,
            parent=without_last_row(earlier),
            tasks=tasks,
            measured=measured,
            recall_at=self.settings.evaluation.recall_at,
            seconds=self.watch.seconds(),
            loss_terms=earlier["loss_terms"],
            method=earlier["method"],
            drift=earlier.get("drift", ()),
        )
        report = with_gate_of_refresh(report, earlier, self.settings.gate)
        pages = Pages(self.tools.painter, self.tools.listener)
        write_report(self.draft, report, measured.details, self.tools.store, pages)
        self.tools.listener.start("publishing", 1)
        refresh = GalleryRefresh(measured.parts, measured.measurements, report["gate"]["refusal"])
        return self.draft.publish_refresh(refresh, dict(self.parent.config)), report


def _counts(parts: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    found = {state.value: 0 for state in VectorState}
    for part in parts:
        found[part["state"]] += part["items"]
    return found
