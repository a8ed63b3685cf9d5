"""What the command line tells about a workspace at once: no torch, no numpy, no SQLAlchemy for SQLite."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from continual_dml.errors import CatalogError, CorruptIndex
from continual_dml.records import Generation, PartCount, TaskSummary, VectorState
from continual_dml.report_pages import PAGE_FILE, REPORT_FILE
from storage.catalog import statements
from storage.catalog.statements import RunStatement
from storage.manifest import Manifest, read_manifest
from storage.statements import open_statements
from storage.verified_files import ADVICE, read_published
from storage.workspace import Workspace

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class GalleryCounts:
    """Gallery images: ``catalogued`` = ``embedded`` = ``indexed`` = ``fresh`` + ``projected`` + ``stale``.

    ``on_disk`` counts those whose source file is still there.
    """

    catalogued: int = 0
    on_disk: int = 0
    embedded: int = 0
    indexed: int = 0
    fresh: int = 0
    projected: int = 0
    stale: int = 0


@dataclass(frozen=True, slots=True)
class QueryCounts:
    """Held-out images, and how many of their copies the workspace still has."""

    catalogued: int = 0
    copies_on_disk: int = 0


@dataclass(frozen=True, slots=True)
class IndexSummary:
    """How the gallery is searched; ``recall_at_10`` as measured when it was built, None where it is exact."""

    kind: str
    recall_at_10: float | None


@dataclass(frozen=True, slots=True)
class DeletedCounts:
    """Images that were deleted; ``categories`` counts those whose statistics still hold some of them."""

    gallery: int = 0
    queries: int = 0
    categories: int = 0


@dataclass(frozen=True, slots=True)
class StatusSummary:
    """The state of a workspace. ``generation`` and ``index`` are None before the first task.

    ``added``: how many of the catalogued gallery images were added without learning.
    """

    generation: Generation | None
    tasks: int = 0
    categories: int = 0
    added: int = 0
    gallery: GalleryCounts = field(default_factory=GalleryCounts)
    queries: QueryCounts = field(default_factory=QueryCounts)
    quarantined: int = 0
    deleted: DeletedCounts = field(default_factory=DeletedCounts)
    index: IndexSummary | None = None
    bytes_on_disk: int = 0


def read_status(workspace: Workspace) -> StatusSummary:
    """Count what the workspace holds.

    Raises:
        CatalogError: the catalogue cannot answer.
        CorruptIndex: the live generation is damaged.
    """
    size = bytes_below(workspace.root)

    def read(run: RunStatement, live: Generation, manifest: Manifest) -> StatusSummary:
        number = live.generation_id
        tasks, additions = statements.read_tasks_and_additions(run, number)
        parts = statements.read_parts(run, number)
        files = statements.read_files(run, number)
        hashes = [content_hash for role, _, content_hash in files if role == "query"]
        return StatusSummary(
            generation=live,
            tasks=len(tasks),
            categories=statements.count_categories(run, number),
            added=sum(addition.train_images for addition in additions),
            gallery=_gallery_counts([path for role, path, _ in files if role == "gallery"], parts, manifest),
            queries=QueryCounts(len(hashes), sum(workspace.query_copy(one).is_file() for one in hashes)),
            quarantined=sum(len(one.quarantined) for one in (*tasks, *additions)),
            deleted=_deleted_counts(statements.read_deleted(run, number)),
            index=IndexSummary(manifest.index.kind, manifest.index.recall_at_10),
            bytes_on_disk=size,
        )

    return with_live(workspace, read) or StatusSummary(None, bytes_on_disk=size)


def read_tasks(workspace: Workspace) -> list[TaskSummary]:
    """Return the tasks that the live generation has learned, oldest first; raises as :func:`read_status`."""
    return read_tasks_and_additions(workspace)[0]


def read_tasks_and_additions(workspace: Workspace) -> tuple[list[TaskSummary], list[TaskSummary]]:
    """Return these tasks, and what was added without learning; raises as :func:`read_status`."""
    with open_statements(workspace) as run:
        live = statements.read_head(run)
        return ([], []) if live is None else statements.read_tasks_and_additions(run, live.generation_id)


def read_report(workspace: Workspace, wanted: str | None = None) -> dict[str, Any]:
    """Return the report of a generation, verified against its manifest, with categories by name.

    Args:
        workspace: to read.
        wanted: its number or a tag; None takes the live one.

    Raises:
        CatalogError: nothing is live yet, the catalogue cannot answer, or the files are not kept any more.
        UnknownChoice: there is no such generation or tag.
        CorruptIndex: the report is missing or differs from what was published.
    """

    def read(run: RunStatement, generation: Generation, manifest: Manifest) -> dict[str, Any]:
        path = workspace.generation_dir(generation.generation_id) / REPORT_FILE
        entry = manifest.files.get(REPORT_FILE)
        if entry is None:
            raise CorruptIndex(f"{path.parent} was published without a report: {ADVICE}")
        document = json.loads(read_published(path, entry.size, entry.sha256))
        if not isinstance(document, dict):
            raise CorruptIndex(f"{path} is no report: {ADVICE}")
        figures = document.get("no_match", {}).get("categories", {})
        names = statements.read_categories(run, generation.generation_id) if figures else {}
        for number, one in figures.items():
            one["name"] = names.get(int(number), number)
        return document

    report = with_live(workspace, read) if wanted is None else with_kept(workspace, wanted, read)
    if report is None:
        raise CatalogError(f"{workspace.root} holds no task yet: run `cdml ingest-task FOLDER`")
    return report


def read_report_page(workspace: Workspace, wanted: str | None = None) -> bytes | None:
    """Return the page that a generation was published with, verified against its manifest.

    None where it was published without one: by an earlier cdml, or because the page could not be drawn.
    Arguments and errors as of :func:`read_report`.
    """

    def read(run: RunStatement, generation: Generation, manifest: Manifest) -> tuple[bytes | None]:
        entry = manifest.files.get(PAGE_FILE)
        path = workspace.generation_dir(generation.generation_id) / PAGE_FILE
        return (None if entry is None else read_published(path, entry.size, entry.sha256),)

    found = with_live(workspace, read) if wanted is None else with_kept(workspace, wanted, read)
    if found is None:
        raise CatalogError(f"{workspace.root} holds no task yet: run `cdml ingest-task FOLDER`")
    return found[0]


def live_generation(workspace: Workspace) -> int | None:
    """Return the number of the live generation, None before the first; raises as :func:`read_status`."""
    with open_statements(workspace) as run:
        live = statements.read_head(run)
    return None if live is None else live.generation_id


def with_live(
    workspace: Workspace, read: Callable[[RunStatement, Generation, Manifest], _Answer]
) -> _Answer | None:
    """Read rows of one moment and files of the live generation; again where a writer removed the files."""
    seen: Generation | None = None
    while True:
        with open_statements(workspace) as run:
            live = statements.read_head(run)
            if live is None:
                return None
            directory = workspace.generation_dir(live.generation_id)
            if live == seen:
                raise CorruptIndex(f"{directory} is missing or not whole: {ADVICE}")
            seen = live
            with suppress(FileNotFoundError):
                return read(run, live, read_manifest(directory, live.manifest_sha256))


def with_kept(
    workspace: Workspace, wanted: str, read: Callable[[RunStatement, Generation, Manifest], _Answer]
) -> _Answer:
    """Read rows and files of the generation that a number or a tag names."""
    with open_statements(workspace) as run:
        found = statements.read_generation(run, wanted)
        directory = workspace.generation_dir(found.generation_id)
        try:
            return read(run, found, read_manifest(directory, found.manifest_sha256))
        except FileNotFoundError as error:
            raise CatalogError(
                f"the files of generation {found.generation_id} are not kept any more: see `cdml generations`"
            ) from error


def _gallery_counts(paths: Sequence[str], parts: Sequence[PartCount], manifest: Manifest) -> GalleryCounts:
    states = {state: sum(part.items for part in parts if part.state is state) for state in VectorState}
    return GalleryCounts(
        catalogued=len(paths),
        on_disk=sum(Path(path).is_file() for path in paths),
        embedded=sum(states.values()),
        indexed=manifest.index.items,
        fresh=states[VectorState.FRESH],
        projected=states[VectorState.PROJECTED],
        stale=states[VectorState.STALE],
    )


def _deleted_counts(rows: Sequence[tuple[str, str, int]]) -> DeletedCounts:
    learned = [(category, images) for role, category, images in rows if role == "gallery"]
    return DeletedCounts(
        gallery=sum(images for _, images in learned),
        queries=sum(images for role, _, images in rows if role == "query"),
        categories=len(learned),
    )


def bytes_below(root: Path) -> int:
    """Bytes of all files, a hard-linked one counted once; what vanishes meanwhile counts nothing."""
    sizes: dict[tuple[int, int], int] = {}
    for directory, _, names in os.walk(root):
        for name in names:
            try:
                found = os.lstat(Path(directory) / name)
            except FileNotFoundError:
                continue
            sizes[found.st_dev, found.st_ino] = found.st_size
    return sum(sizes.values())
