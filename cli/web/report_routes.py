"""Routes over the generations: what was published, and the report of each."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import Field

from cli.report_pages import report_page as page_of
from cli.web.documents import Generations, GenerationSummary
from cli.web.parameters import LARGEST
from cli.web.service import Served
from storage.generations import GenerationEntry, read_generations
from storage.summary import read_report

router = APIRouter(tags=["reports"])

GenerationId = Annotated[int, Field(ge=1, le=LARGEST, description="number of a generation")]
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox allow-same-origin allow-top-navigation-by-user-activation"
)
"""A report brings its styles and pictures with it, and needs nothing else."""


@router.get("/api/v1/generations")
def generations(service: Served) -> Generations:
    """List what was published, newest first."""
    return Generations(generations=[_summary(one) for one in reversed(read_generations(service.workspace))])


@router.get("/api/v1/generations/{generation_id}/report")
def report(generation_id: GenerationId, service: Served) -> dict[str, Any]:
    """Return the report of a generation: recall matrices, forgetting, and what they mean."""
    return read_report(service.workspace, str(generation_id))


@router.get("/reports/{generation_id}", response_class=Response)
def report_page(generation_id: GenerationId, service: Served) -> Response:
    """Return the report of a generation as a page."""
    content = page_of(service.workspace, str(generation_id))
    headers = {"content-security-policy": REPORT_POLICY, "cache-control": "private, no-cache"}
    return Response(content, media_type="text/html; charset=utf-8", headers=headers)


def _summary(one: GenerationEntry) -> GenerationSummary:
    state = "live" if one.live else "earlier" if one.in_lineage else "refused" if one.refused else "undone"
    return GenerationSummary(
        id=one.generation_id,
        parent=one.parent_id,
        state=state,
        task=_what(one),
        published=one.created_at,
        images=one.images,
        recall_at_1=one.recall_at_1,
        tags=list(one.tags),
        kept=one.kept,
    )


def _what(one: GenerationEntry) -> str:
    """Return what a generation did."""
    if one.deleted:
        return f"{one.deleted} deleted"
    return f"{one.added} added" if one.added else one.task
