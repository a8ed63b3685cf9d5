"""Routes to look around: status, tasks, categories, items and their pictures."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response

from cli.render.documents import embedding_length
from cli.web.documents import (
    Categories,
    Category,
    Item,
    Items,
    Status,
    Tasks,
    item_document,
    task_documents,
)
from cli.web.explaining import item_of
from cli.web.parameters import ItemId, OptionalId
from cli.web.pictures import SIDES, picture_of_item
from cli.web.service import Served
from continual_dml import __version__
from continual_dml.records import Role

router = APIRouter(prefix="/api/v1", tags=["browse"])

_MOST_ITEMS = 200


@router.get("/status")
def status(service: Served) -> Status:
    """Say which generation answers, and what it holds."""
    with service.searcher.snapshot() as snapshot:
        return Status(
            generation=snapshot.generation.generation_id,
            published=snapshot.generation.created_at,
            problem=service.searcher.health.problem,
            categories=len(snapshot.prepared.categories),
            gallery_images=len(snapshot.index),
            embedding_length=embedding_length(service.workspace.settings.model),
            most_bytes=service.bodies.most_bytes,
            version=__version__,
        )


@router.get("/tasks")
def tasks(service: Served) -> Tasks:
    """List the tasks that were learned and the images that were added, in order."""
    with service.searcher.snapshot() as snapshot:
        return Tasks(
            generation=snapshot.generation.generation_id,
            tasks=task_documents(snapshot.reader.tasks(), snapshot.reader.additions()),
        )


@router.get("/categories")
def categories(service: Served, task_id: Annotated[OptionalId, Query()] = None) -> Categories:
    """List the categories of a task, or of all, by name."""
    with service.searcher.snapshot() as snapshot:
        return Categories(
            generation=snapshot.generation.generation_id,
            categories=[
                Category(id=number, name=name, gallery_images=images, query_images=queries)
                for number, name, images, queries in snapshot.reader.category_counts(task_id)
            ],
        )


@router.get("/items")
def items(
    service: Served,
    task_id: Annotated[OptionalId, Query()] = None,
    category_id: Annotated[OptionalId, Query()] = None,
    role: Annotated[Role | None, Query()] = None,
    after: Annotated[ItemId, Query(description="the number that the page before ended with")] = 0,
    limit: Annotated[int, Query(ge=1, le=_MOST_ITEMS)] = 60,
) -> Items:
    """List items by number, a page at a time."""
    with service.searcher.snapshot() as snapshot:
        found = snapshot.reader.items_page(
            after, limit + 1, task_id=task_id, category_id=category_id, role=role
        )
        return Items(
            generation=snapshot.generation.generation_id,
            items=[item_document(item) for item in found[:limit]],
            next=found[limit - 1].item_id if len(found) > limit else None,
        )


@router.get("/items/{item_id}")
def item(item_id: ItemId, service: Served) -> Item:
    """Say what the catalogue knows of an item."""
    with service.searcher.snapshot() as snapshot:
        return item_document(item_of(snapshot, item_id))


@router.get(
    "/items/{item_id}/picture", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}}
)
def picture(
    item_id: ItemId,
    request: Request,
    service: Served,
    side: Annotated[int, Query(description=f"of the longer side: one of {', '.join(map(str, SIDES))}")] = 192,
    whole: Annotated[bool, Query(description="all of the image, or the square that networks see")] = False,
) -> Response:
    """Return an item's image as a JPEG."""
    if side not in SIDES:
        raise HTTPException(400, f"side {side}: take one of {', '.join(map(str, SIDES))}")
    with service.searcher.snapshot() as snapshot:
        found = item_of(snapshot, item_id)
    tag = f'"{found.content_hash[:32]}-{side}-{int(whole)}"'
    # Asked again each time, and seldom sent again: what was deleted must not be shown any more.
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    content = picture_of_item(service.workspace, found, side, whole=whole)
    if content is None:
        raise HTTPException(410, f"the file of item {item_id} is gone, or holds something else by now")
    return Response(content, media_type="image/jpeg", headers=headers)
