"""The steps that every new generation of a gallery shares: refresh, ask, measure, write, report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.ports import Artefacts, Draft
from continual_dml.records import GalleryLabels, GalleryPart, PartCount, TaskSummary
from continual_dml.report_pages import REPORT_FILE
from continual_dml.reports import Measured
from continual_dml.settings import RefreshBudget, Settings
from continual_dml.strategies.carrying import Carrying
from continual_dml.strategies.state import LearnerState
from continual_dml.strategies.unknown_tests import UnknownTest
from continual_dml.workflows.calibrate_no_match import no_match_document, try_generation_before
from continual_dml.workflows.compare_galleries import (
    compare_galleries,
    error_scale,
    item_errors,
    kept_images,
)
from continual_dml.workflows.evaluate import Labelled, labelled_gallery, measure_all
from continual_dml.workflows.fingerprint_files import inherit_fingerprints
from continual_dml.workflows.gallery_files import StoredPart, stored_parts, write_parts
from continual_dml.workflows.kept_queries import (
    ASKED_FILE,
    SeenQueries,
    ask_again,
    born_queries,
    queries_file,
    seen_queries,
)
from continual_dml.workflows.live_model import LiveModel
from continual_dml.workflows.members_alone import members_alone
from continual_dml.workflows.precision_check import InFull, precision_document
from continual_dml.workflows.refresh_gallery import Reembedded, RefreshTools, nothing_renewed, refresh_gallery
from continual_dml.workflows.report_details import report_details
from continual_dml.workflows.state_files import write_state


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """All queries that are measured: ids (Q,), stored features (Q, F), and vectors with their labels.

    ``hashes`` (Q,): of their content; ``kept_rows`` (n,): those that may be asked again after later tasks;
    ``in_full``: some of them in single precision, None where all are.
    """

    ids: NDArray[np.int64]
    features: NDArray[np.float32]
    labelled: Labelled
    hashes: Sequence[str]
    kept_rows: NDArray[np.int64]
    in_full: InFull | None = None


@dataclass(frozen=True, slots=True, eq=False)
class NewQueries:
    """Queries of the task that is being learned.

    ``ids`` (n,), ``features`` (n, F), ``categories`` (n,), ``hashes`` (n,) of their content; ``in_full``:
    some of them in single precision, None where all are.
    """

    task_id: int
    ids: NDArray[np.int64]
    features: NDArray[np.float32]
    categories: NDArray[np.int64]
    hashes: Sequence[str]
    in_full: InFull | None = None

    @property
    def order(self) -> NDArray[np.int64]:
        """Their rows (n,), those to be asked again after later tasks first."""
        return np.argsort(np.array(self.hashes, dtype=np.str_), kind="stable")


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """A model that moved: how the one before carried stored features, and the task it moved for."""

    before: Carrying
    new_task: int


class NextGeneration:
    """A generation that is being built on the live one, if any.

    Args:
        tools: the store, and what it takes to open images.
        settings: of the workspace, with the options of the command over them.
        draft: of the generation.
    """

    def __init__(self, tools: RefreshTools, settings: Settings, draft: Draft) -> None:
        self.tools = tools
        self.settings = settings
        self.draft = draft
        head = tools.store.head()
        self.parent: Artefacts | None = tools.store.open_generation(head) if head else None
        self.parent_report: dict[str, Any] = self.parent.read_json(REPORT_FILE) if self.parent else {}
        self._born = born_queries(self.parent) if self.parent else []
        self._parts_before: list[StoredPart] | None = None

    def tested_before(
        self, state: LearnerState | None, features: NDArray[np.float32] | None, categories: NDArray[np.int64]
    ) -> UnknownTest | None:
        """Return what the generation before says of the new task's categories; None where it knows all.

        Args:
            state: what it had learned; None where there is none.
            features: (N, F) of the new images as it saw them.
            categories: (N,) of these images.
        """
        if self.parent is None or state is None or features is None:
            return None
        self._parts_before = list(stored_parts(self.parent, self.parent_report))
        if not self._parts_before:
            return None
        gallery = _gallery(self._parts_before, self.tools.store.gallery_labels())
        task_id = self.draft.task_id
        return try_generation_before(self.parent, state, gallery, features, categories, task_id)

    def refreshed(
        self, model: LiveModel, mode: str, budget: RefreshBudget
    ) -> tuple[list[GalleryPart], Reembedded]:
        """Return earlier items carried into the live space, and those that were embedded anew."""
        if self.parent is None:
            return [], nothing_renewed(model)
        parts, self._parts_before = self._parts_before, None
        if parts is None:
            parts = list(stored_parts(self.parent, self.parent_report))
        exact = not self.draft.wants_views(sum(len(part.ids) for part in parts))
        return refresh_gallery(parts, mode, budget, model, self.tools, exact=exact)

    def asked(self, model: LiveModel, new: NewQueries | None) -> Asked:
        """Return the queries of all tasks as the live model sees them: copies of old ones, and new ones."""
        tools, most = self.tools, self.settings.evaluation.earlier_queries
        seen = None if self.parent is None or model.moved else seen_queries(self.parent)
        again = ask_again(tools.store, most, model, tools.reader, tools.listener, seen)
        ids = np.array([item.item_id for item in again.items], dtype=np.int64)
        categories = np.array([item.category_id for item in again.items], dtype=np.int64)
        tasks = np.array([item.task_id for item in again.items], dtype=np.int64)
        features, kept_rows = again.features, np.arange(len(ids))
        hashes = [item.content_hash for item in again.items]
        in_full = None
        if new is not None:
            if new.in_full is not None:
                in_full = InFull(len(ids) + new.in_full.rows, new.in_full.features)
            kept_rows = np.concatenate([kept_rows, len(ids) + new.order[:most]])
            ids = np.concatenate([ids, new.ids])
            features = np.concatenate([features, new.features])
            categories = np.concatenate([categories, new.categories])
            tasks = np.concatenate([tasks, np.full(len(new.ids), new.task_id, dtype=np.int64)])
            hashes += new.hashes
        labelled = Labelled(model.head(features), categories, tasks, ids)
        return Asked(ids, features, labelled, hashes, kept_rows, in_full)

    def measured(
        self,
        model: LiveModel,
        parts: Sequence[GalleryPart],
        labels: GalleryLabels,
        asked: Asked,
        tasks: Sequence[TaskSummary],
        moved: Moved | None,
        unknown: UnknownTest | None = None,
    ) -> Measured:
        """Measure the gallery with the queries of all tasks, and what its refresh is worth.

        Args:
            model: the live model.
            parts: the gallery.
            labels: of its items.
            asked: the queries.
            tasks: all tasks.
            moved: what the model was before it moved; None where there was none, or it did not.
            unknown: what the generation before said of the new task's categories.
        """
        settings = self.settings
        gallery = _gallery(parts, labels)
        ids = [task.task_id for task in tasks]
        evaluation = measure_all(ids, asked.labelled, gallery, settings.evaluation.recall_at)
        members = members_alone(model.carrying, settings, parts, labels, asked.labelled, asked.features)
        kept = None
        if moved is not None:
            kept = kept_images(asked.labelled, asked.ids, self._born, model, moved.before, moved.new_task)
        scale = None if kept is None else error_scale(kept)
        precision = None
        if asked.in_full is not None:
            some, vectors = asked.labelled.at(asked.in_full.rows), model.head(asked.in_full.features)
            precision = precision_document(some, vectors, gallery)
        return Measured(
            measurements=evaluation.measurements,
            parts=[PartCount(part.birth_generation, part.state, len(part.ids)) for part in parts],
            part_errors=item_errors(parts, model, scale),
            members=members,
            compatibility=None if kept is None else compare_galleries(kept),
            error_scale=None if scale is None else asdict(scale),
            no_match=no_match_document(
                asked.labelled, evaluation.nearest, gallery, settings, self.parent_report, unknown
            ),
            precision=precision,
            details=report_details(
                self.draft.generation_id, asked.labelled, asked.hashes, evaluation.closest, gallery
            ),
        )

    def write(self, model: LiveModel, parts: Sequence[GalleryPart], asked: Asked) -> None:
        """Write what was learned, the gallery and its index, and the queries that stand for its items.

        Queries age as the items do that they stand for: those whose birth has no item left any more, since
        all were embedded anew, and those of the new task are stored as the live model sees them.
        """
        births = {part.birth_generation for part in parts}
        write_state(model.state.needed_for(births), self.draft, self.parent, moved=model.moved)
        write_parts(self.draft, parts, self.parent_report, model.carrying)
        inherit_fingerprints(self.draft, self.parent)
        aged = [group for group in self._born if group.birth_generation in births]
        for group in aged:
            self.draft.inherit(queries_file(group.birth_generation))
        seen = SeenQueries(asked.ids[asked.kept_rows], asked.features[asked.kept_rows])
        self.draft.write_tensors(ASKED_FILE, seen.to_arrays())
        known = np.concatenate([np.empty(0, dtype=np.int64), *(group.ids for group in aged)])
        rows = asked.kept_rows[~np.isin(asked.ids[asked.kept_rows], known)]
        if len(rows):
            features = asked.features[rows].astype(np.float16)
            name = queries_file(self.draft.generation_id)
            self.draft.write_tensors(name, {"ids": asked.ids[rows], "features": features})


def _gallery(parts: Sequence[GalleryPart | StoredPart], labels: GalleryLabels) -> Labelled:
    return labelled_gallery([part.ids for part in parts], (part.vectors for part in parts), labels)


def with_new_items(
    labels: GalleryLabels, ids: NDArray[np.int64], categories: NDArray[np.int64], task_id: int
) -> GalleryLabels:
    """Return ``labels`` and those of items that a task brings; ``ids`` (n,) are larger than all before."""
    return GalleryLabels(
        np.concatenate([labels.ids, ids]),
        np.concatenate([labels.categories, categories]),
        np.concatenate([labels.tasks, np.full(len(ids), task_id, dtype=np.int64)]),
    )
