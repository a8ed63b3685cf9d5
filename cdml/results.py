"""What the methods of a workspace that change it give back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdml.reports import Report

if TYPE_CHECKING:
    from cli.adding import AddOutcome
    from cli.wiring import IngestOutcome
    from continual_dml.records import QuarantinedFile
    from continual_dml.workflows.estimate_ingest import IngestEstimate
    from continual_dml.workflows.near_copies import NearCopy
    from continual_dml.workflows.plan_task import TaskPlan
    from continual_dml.workflows.refresh_items import RefreshResult as Refreshed


@dataclass(frozen=True, slots=True)
class FolderPlan:
    """What a folder holds, compared with the catalogue.

    Attributes:
        name: of the task or the addition.
        source: the folder.
        new_categories: that the workspace did not know.
        extended_categories: known ones that get further images.
        gallery_images: that are searched, and of a task also trained on.
        query_images: that are held out to ask with.
        left_out: every file that is not used, and why: what is no image, and what is a duplicate.
        near_copies: pairs that look like the same picture; nothing is left out for it.
    """

    name: str
    source: str
    new_categories: tuple[str, ...]
    extended_categories: tuple[str, ...]
    gallery_images: int
    query_images: int
    left_out: tuple[QuarantinedFile, ...]
    near_copies: tuple[NearCopy, ...]

    @classmethod
    def of(cls, plan: TaskPlan) -> FolderPlan:
        """Return what is worth keeping of a plan: not its pixels."""
        return cls(
            plan.task.name,
            plan.task.source,
            plan.new_categories,
            plan.extended_categories,
            len(plan.gallery_rows),
            len(plan.query_rows),
            plan.quarantined,
            plan.near_copies.found,
        )


@dataclass(frozen=True, slots=True)
class TaskEstimate:
    """What learning a folder would do and cost.

    Attributes:
        plan: what the folder holds.
        steps: of optimisation.
        seconds: once the images are read; a guess, from a few steps that were taken and thrown away.
        disk_bytes: that a new generation would take.
        total_seconds: of all of it, starting and reading included.
        stages: seconds of each part.
        peak_memory_bytes: of this process; None where the system does not tell.
        growth_bytes: by how much the workspace would be larger.
    """

    plan: FolderPlan
    steps: int
    seconds: float
    disk_bytes: int
    total_seconds: float
    stages: Mapping[str, float]
    peak_memory_bytes: int | None
    growth_bytes: int

    @classmethod
    def of(cls, plan: TaskPlan, estimate: IngestEstimate) -> TaskEstimate:
        """Return the result of what the command line's dry run gave."""
        return cls(
            FolderPlan.of(plan),
            estimate.steps,
            estimate.seconds,
            estimate.disk_bytes,
            estimate.total_seconds,
            estimate.stages,
            estimate.peak_memory_bytes,
            estimate.growth_bytes,
        )


@dataclass(frozen=True, slots=True)
class IngestResult:
    """A learned task.

    Attributes:
        generation: number of the new generation.
        promoted: whether it is live: its quality gate may have refused it, ``report.refusal`` then says why.
        plan: what the folder held.
        report: what was gained and what was forgotten.
        seconds: of all of it, reading the folder included.
    """

    generation: int
    promoted: bool
    plan: FolderPlan
    report: Report
    seconds: float

    @classmethod
    def of(cls, outcome: IngestOutcome) -> IngestResult:
        """Return the result of what the command line's ingest gave."""
        report = Report(outcome.result.report, outcome.promoted)
        seconds = outcome.read_seconds + float(outcome.result.report["seconds"]["total"])
        return cls(report.generation, outcome.promoted, FolderPlan.of(outcome.plan), report, seconds)


@dataclass(frozen=True, slots=True)
class AddResult:
    """Images that were added without learning.

    Attributes:
        generation: number of the new generation, which is live.
        plan: what the folders held.
        report: its figures are those from before; ``document["added_since"]`` counts what joined.
        seconds: of all of it.
    """

    generation: int
    plan: FolderPlan
    report: Report
    seconds: float

    @classmethod
    def of(cls, outcome: AddOutcome) -> AddResult:
        """Return the result of what the command line's addition gave."""
        report = Report(outcome.result.report, live=True)
        return cls(report.generation, FolderPlan.of(outcome.plan), report, outcome.seconds)


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """A refreshed gallery.

    Attributes:
        generation: number of the new generation, or of the live one where nothing was to do.
        published: whether there is a new one.
        promoted: whether ``generation`` is live: its quality gate may have refused it.
        reembedded: images that were embedded anew.
        before: how many gallery images were ``fresh``, ``projected`` and ``stale``.
        after: how many are now.
        report: of ``generation``.
    """

    generation: int
    published: bool
    promoted: bool
    reembedded: int
    before: Mapping[str, int]
    after: Mapping[str, int]
    report: Report

    @classmethod
    def of(cls, done: Refreshed) -> RefreshResult:
        """Return the result of what the command line's refresh gave."""
        report = Report(done.report, done.promoted)
        number = done.generation.generation_id
        return cls(number, done.published, done.promoted, done.reembedded, done.before, done.after, report)
