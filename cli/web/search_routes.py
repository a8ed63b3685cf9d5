"""Routes that search: by an image that is sent, or by an item, and that say why two images are similar."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request

from cli.live_search import Asked
from cli.web.documents import Explanation, SearchResult, search_document
from cli.web.explaining import explain, query_of_item
from cli.web.parameters import ItemId, OptionalId, normalised_names
from cli.web.service import Served, Service
from storage.filters import Filter, parse_filter
from storage.filters.tree import All, Membership

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

router = APIRouter(prefix="/api/v1", tags=["search"])

MOST_NEIGHBOURS = 200
_MOST_NAMES, _LONGEST_NAME, _LONGEST_FILTER = 100, 1000, 4000
Names = Annotated[list[Annotated[str, Query(max_length=_LONGEST_NAME)]], Query(max_length=_MOST_NAMES)]
IMAGE_BODY = {
    "requestBody": {
        "required": True,
        "description": "The bytes of an image file: JPEG, PNG, WebP, BMP, GIF or TIFF.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a search asks for beside its query."""

    k: int
    where: Filter | None
    judged: bool
    generation: int | None = None


def _wanted(
    k: Annotated[int, Query(ge=1, le=MOST_NEIGHBOURS, description="how many neighbours")] = 10,
    category: Annotated[Names, Query(description="only items of these categories")] = [],  # noqa: B006
    task: Annotated[Names, Query(description="only items of these tasks")] = [],  # noqa: B006
    where: Annotated[
        str, Query(max_length=_LONGEST_FILTER, description="only items that this filter is true of")
    ] = "",
    judged: Annotated[bool, Query(description="say whether there is a match")] = True,
    generation: Annotated[OptionalId, Query(description="409 where another one answers")] = None,
) -> Wanted:
    """Return the parameters that all searches share."""
    parts: list[Filter] = []
    if category:
        parts.append(Membership("category", normalised_names(category)))
    if task:
        parts.append(Membership("task", normalised_names(task)))
    if where.strip():
        parts.append(parse_filter(where))
    return Wanted(k, All(tuple(parts)) if parts else None, judged, generation)


Search = Annotated[Wanted, Depends(_wanted)]


@router.post("/search", openapi_extra=IMAGE_BODY)
async def search_by_image(request: Request, service: Served, wanted: Search) -> SearchResult:
    """Find the items nearest to an image."""
    square = await _square(request, service)
    return await _searched(service, wanted, square, None)


@router.get("/items/{item_id}/similar")
async def search_by_item(item_id: ItemId, service: Served, wanted: Search) -> SearchResult:
    """Find the items nearest to an item: by its stored vector, or by its image where it was held out."""
    loop = asyncio.get_running_loop()
    square, vector = await loop.run_in_executor(service.decoders, query_of_item, service, item_id)
    return await _searched(service, wanted, square, vector)


@router.post("/explain", openapi_extra=IMAGE_BODY)
async def explain_image(
    request: Request, service: Served, item_id: Annotated[ItemId, Query()]
) -> Explanation:
    """Say which regions make an image and an item similar."""
    square = await _square(request, service)
    return await asyncio.get_running_loop().run_in_executor(None, explain, service, square, None, item_id)


@router.get("/items/{item_id}/explain")
def explain_item(item_id: ItemId, service: Served, other: Annotated[ItemId, Query()]) -> Explanation:
    """Say which regions make two items similar."""
    return explain(service, None, item_id, other)


async def _square(request: Request, service: Service) -> NDArray[np.uint8]:
    content = await service.bodies.read(request)
    return await asyncio.get_running_loop().run_in_executor(service.decoders, service.square_of, content)


async def _searched(
    service: Service, wanted: Wanted, square: NDArray[np.uint8] | None, vector: NDArray[np.float32] | None
) -> SearchResult:
    asked = Asked("query", wanted.k, square, vector, wanted.where, wanted.judged)
    found = await asyncio.wrap_future(service.queue.submit(asked))
    if wanted.generation not in (None, found.answer.generation):
        raise HTTPException(409, f"generation {found.answer.generation} answers here")
    return search_document(found)
