"""What the page of a published generation's report shows, for one that was published without a page."""

from __future__ import annotations

import json
from typing import Any

from continual_dml.errors import CatalogError
from continual_dml.records import Generation
from continual_dml.report_pages import (
    DETAILS_FILE,
    ReportContent,
    pictured_items,
    pictures_of,
    quarantined_in,
)
from storage.catalog import statements
from storage.catalog.statements import RunStatement
from storage.manifest import Manifest
from storage.summary import read_report, with_kept, with_live
from storage.verified_files import read_published
from storage.workspace import Workspace


def read_report_details(workspace: Workspace, wanted: str | None = None) -> dict[str, Any] | None:
    """Return the details of a generation's report, verified, with categories by number and name.

    None where an earlier cdml wrote none.

    Arguments and errors as of :func:`storage.summary.read_report`.
    """

    def read(run: RunStatement, generation: Generation, manifest: Manifest) -> tuple[dict[str, Any] | None]:
        found = _details(workspace, generation, manifest)
        if found is not None:
            names = statements.read_categories(run, generation.generation_id)
            for one in found["categories"]:
                one["name"] = names.get(one["category"], str(one["category"]))
        return (found,)

    found = with_live(workspace, read) if wanted is None else with_kept(workspace, wanted, read)
    return None if found is None else found[0]


def read_report_content(workspace: Workspace, wanted: str | None = None) -> ReportContent:
    """Return what a page of a generation's report shows, all of it from files and rows of that generation.

    Arguments and errors as of :func:`storage.summary.read_report`.
    """
    report = read_report(workspace, wanted)

    def read(run: RunStatement, generation: Generation, manifest: Manifest) -> ReportContent:
        number, details = generation.generation_id, _details(workspace, generation, manifest)
        shown = [] if details is None else pictured_items(details)
        tasks, additions = statements.read_tasks_and_additions(run, number)
        return ReportContent(
            report=report,
            details=details,
            categories=statements.read_categories(run, number),
            pictures=pictures_of(
                statements.read_items(run, number, shown), lambda one: str(workspace.query_copy(one))
            ),
            quarantined=quarantined_in([*tasks, *additions]),
        )

    try:
        return with_kept(workspace, str(report["generation"]), read)
    except CatalogError:
        if wanted is not None:
            raise
        return read_report_content(workspace)  # a writer replaced the live generation meanwhile


def _details(workspace: Workspace, generation: Generation, manifest: Manifest) -> dict[str, Any] | None:
    entry = manifest.files.get(DETAILS_FILE)
    if entry is None:
        return None
    path = workspace.generation_dir(generation.generation_id) / DETAILS_FILE
    found: dict[str, Any] = json.loads(read_published(path, entry.size, entry.sha256))
    return found
