"""The JSON documents, schema_version 1. Their keys are a promise: add, never rename."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cli.render.plans import plan_document
from cli.render.task_documents import quarantine_document
from continual_dml.reports import SCHEMA_VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from cli.deletions import DeleteOutcome
    from cli.housekeeping import Compaction, Promotion
    from cli.searching import Answer, Hit
    from cli.wiring import IngestOutcome
    from continual_dml.records import Generation
    from continual_dml.settings import ModelSettings
    from continual_dml.verdicts import Verdict
    from continual_dml.workflows.estimate_ingest import IngestEstimate
    from continual_dml.workflows.plan_task import TaskPlan
    from continual_dml.workflows.refresh_items import RefreshResult
    from storage.durable import FileEntry
    from storage.generations import GenerationEntry
    from storage.kept_statistics import CategoryStatistics, KeptStatistics
    from storage.summary import StatusSummary
    from storage.verification import Verification
    from storage.workspace import Workspace


def init_document(workspace: Workspace) -> dict[str, Any]:
    """Return what ``cdml init`` made."""
    model = workspace.settings.model
    return {
        "schema_version": SCHEMA_VERSION,
        "workspace": str(workspace.root),
        "database": workspace.database_label,
        "weights": dict(workspace.weights_note) or {"source": "none"},
        "settings": workspace.settings.as_dict(),
        "cohort": {
            "members": model.cohort,
            "backbones": list(model.backbones),
            "ensemble": model.ensemble,
            "embedding_length": embedding_length(model),
        },
    }


def embedding_length(model: ModelSettings) -> int:
    """Return how many numbers an image's embedding has.

    >>> from continual_dml.settings import ModelSettings
    >>> embedding_length(ModelSettings(cohort=2)), embedding_length(ModelSettings(cohort=2, ensemble="pca"))
    (256, 128)
    """
    return model.embedding_dim * (model.cohort if model.ensemble == "concatenated" else 1)


def ingest_document(outcome: IngestOutcome) -> dict[str, Any]:
    """Return what ``cdml ingest-task`` built, live or not: the task's row of the recall matrix."""
    report, task = outcome.result.report, outcome.result.task
    ids = [str(one["id"]) for one in report["tasks"]]
    members = {"members": report["members"]} if "members" in report else {}
    return {
        "schema_version": SCHEMA_VERSION,
        "generation": outcome.result.generation.generation_id,
        "promoted": outcome.promoted,
        "gate": report["gate"],
        "task": {
            "id": task.task_id,
            "name": task.name,
            "categories": task.categories,
            "train_images": task.train_images,
            "query_images": task.query_images,
            "quarantined": quarantine_document(task.quarantined),
        },
        "recall_at_k": {
            k: dict(zip(ids, rows[-1], strict=True)) for k, rows in report["recall_at_k"].items()
        },
        **members,
        "plan": plan_document(outcome.plan),
        "seconds": ingest_seconds(outcome),
    }


def ingest_seconds(outcome: IngestOutcome) -> dict[str, float]:
    """Return the seconds of each stage, reading the folder included."""
    stages: dict[str, float] = outcome.result.report["seconds"]
    read = round(outcome.read_seconds, 3)
    return {"read": read, **stages, "total": round(read + stages["total"], 3)}


def refresh_document(result: RefreshResult) -> dict[str, Any]:
    """Return what a refresh did; ``published`` is false where nothing would have changed."""
    return {
        "schema_version": SCHEMA_VERSION,
        "published": result.published,
        "promoted": result.promoted,
        "generation": result.generation.generation_id,
        "reembedded": result.reembedded,
        "gallery_before": dict(result.before),
        "gallery": dict(result.after),
    }


def dry_run_document(plan: TaskPlan, estimate: IngestEstimate) -> dict[str, Any]:
    """Return what an ingest would do and cost."""
    return {
        "schema_version": SCHEMA_VERSION,
        "dry_run": True,
        "task": {
            "name": plan.task.name,
            "categories": [
                {"name": name, "state": state, "train_images": train, "query_images": query}
                for name, state, train, query in category_counts(plan)
            ],
            "train_images": len(plan.gallery_rows),
            "query_images": len(plan.query_rows),
            "quarantined": quarantine_document(plan.quarantined),
        },
        "plan": plan_document(plan),
        "estimate": {
            "steps": estimate.steps,
            "seconds": round(estimate.seconds, 1),
            "disk_bytes": estimate.disk_bytes,
            "total_seconds": round(estimate.total_seconds, 1),
            "stages": {name: round(seconds, 2) for name, seconds in estimate.stages.items()},
            "peak_memory_bytes": estimate.peak_memory_bytes,
            "growth_bytes": estimate.growth_bytes,
        },
    }


def category_counts(plan: TaskPlan) -> list[tuple[str, str, int, int]]:
    """Return name, ``new`` or ``extended``, and counts of training and query images, by name."""
    from collections import Counter

    train = Counter(record.category for record in plan.records(plan.gallery_rows))
    query = Counter(record.category for record in plan.records(plan.query_rows))
    new = set(plan.new_categories)
    return [
        (name, "new" if name in new else "extended", train[name], query[name]) for name in plan.categories
    ]


def query_document(answer: Answer) -> dict[str, Any]:
    """Return the neighbours of each query image, and what is to be thought of them.

    ``match`` is None where nothing was judged, ``no_threshold`` then says why it could not be; ``threshold``
    is the score that the nearest needs in its category, ``confidence`` how likely that category is right.
    """
    verdicts = answer.verdicts or (None,) * len(answer.queries)
    return {
        "schema_version": SCHEMA_VERSION,
        "generation": answer.generation,
        **({} if answer.no_threshold is None else {"no_threshold": answer.no_threshold}),
        "queries": [
            {
                "path": path,
                **_verdict(verdict),
                "neighbours": [_neighbour(rank, hit) for rank, hit in enumerate(hits, 1)],
            }
            for (path, hits), verdict in zip(answer.queries, verdicts, strict=True)
        ],
    }


def _verdict(verdict: Verdict | None) -> dict[str, Any]:
    if verdict is None:
        return {"match": None, "threshold": None, "confidence": None}
    return {"match": verdict.match, "threshold": verdict.threshold, "confidence": verdict.confidence}


def _neighbour(rank: int, hit: Hit) -> dict[str, Any]:
    return {
        "rank": rank,
        "item_id": hit.item.item_id,
        "score": hit.similarity,
        "category": hit.item.category,
        "task": hit.item.task,
        "path": hit.item.path,
    }


def generations_document(found: Sequence[GenerationEntry]) -> dict[str, Any]:
    """Return the log of generations, oldest first."""
    return {"schema_version": SCHEMA_VERSION, "generations": [asdict(one) for one in found]}


def rollback_document(before: Generation, now: Generation) -> dict[str, Any]:
    """Return which generation was live and which one is."""
    return {"schema_version": SCHEMA_VERSION, "before": before.generation_id, "live": now.generation_id}


def promote_document(done: Promotion) -> dict[str, Any]:
    """Return which generation was live (None before the first), which one is, and why it was refused."""
    return {
        "schema_version": SCHEMA_VERSION,
        "before": None if done.before is None else done.before.generation_id,
        "live": done.now.generation_id,
        "refusal": done.refusal,
    }


def compact_document(done: Compaction) -> dict[str, Any]:
    """Return generation and kind of index before and now, equal where nothing was to do, and its size."""
    return {"schema_version": SCHEMA_VERSION, **asdict(done)}


def delete_document(outcome: DeleteOutcome) -> dict[str, Any]:
    """Return what was deleted, or would be (``generation`` is None then)."""
    return {
        "schema_version": SCHEMA_VERSION,
        "generation": outcome.generation,
        "gallery_images": outcome.gallery,
        "query_images": outcome.queries,
        "categories": dict(outcome.categories),
        "purged": outcome.purged,
        "held": outcome.held,
    }


def tag_document(name: str, generation: int | None) -> dict[str, Any]:
    """Return a tag and the generation it names, None where it names none any more."""
    return {"schema_version": SCHEMA_VERSION, "tag": name, "generation": generation}


def gc_document(removed: Sequence[int], freed: int) -> dict[str, Any]:
    """Return the generations whose files were removed and the bytes freed."""
    return {"schema_version": SCHEMA_VERSION, "removed": list(removed), "bytes_freed": freed}


def verify_document(found: Verification) -> dict[str, Any]:
    """Return what was checked and what is wrong."""
    return {"schema_version": SCHEMA_VERSION, "whole": not found.problems, **asdict(found)}


def backup_document(path: Path, entry: FileEntry) -> dict[str, Any]:
    """Return where a backup lies, its size and its hash."""
    return {"schema_version": SCHEMA_VERSION, "file": str(path), **asdict(entry)}


def restore_document(workspace: Workspace, generation: int | None) -> dict[str, Any]:
    """Return what a backup became."""
    return {
        "schema_version": SCHEMA_VERSION,
        "workspace": str(workspace.root),
        "database": workspace.database_label,
        "generation": generation,
    }


def status_document(summary: StatusSummary) -> dict[str, Any]:
    """Return the counts of a workspace; ``generation`` is None before the first task."""
    generation = summary.generation
    return {
        "schema_version": SCHEMA_VERSION,
        "generation": None if generation is None else generation.generation_id,
        "created_at": None if generation is None else generation.created_at,
        "tasks": summary.tasks,
        "categories": summary.categories,
        "added": summary.added,
        "gallery": asdict(summary.gallery),
        "queries": asdict(summary.queries),
        "quarantined": summary.quarantined,
        "deleted": asdict(summary.deleted),
        "index": None if summary.index is None else asdict(summary.index),
        "bytes_on_disk": summary.bytes_on_disk,
    }


def statistics_document(found: KeptStatistics, listed: Sequence[CategoryStatistics]) -> dict[str, Any]:
    """Return the ``listed`` categories and the sizes of all; ``generation`` is None before the first task."""
    return {
        "schema_version": SCHEMA_VERSION,
        "generation": None if found.generation is None else found.generation.generation_id,
        "categories": [asdict(one) for one in listed],
        "totals": statistics_totals(found),
        "files": [asdict(one) for one in found.files],
    }


def statistics_totals(found: KeptStatistics) -> dict[str, Any]:
    """Return how many categories, images and bytes there are, and the bytes of one category."""
    sizes = sorted(one.size_bytes for one in found.categories)
    return {
        "categories": len(sizes),
        "images": sum(one.images for one in found.categories),
        "bytes": sum(one.size_bytes for one in found.files),
        "shared_bytes": sum(one.shared_bytes for one in found.files),
        "category_bytes": {
            "median": sizes[len(sizes) // 2] if sizes else 0,
            "most": sizes[-1] if sizes else 0,
        },
    }
