"""What the API answers, as documents with a schema. Keys are a promise: add, never rename."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from continual_dml.reports import SCHEMA_VERSION

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cli.live_search import Found, LoadedGeneration
    from continual_dml.records import CatalogItem, TaskSummary

CLASSES_SHOWN = 5


class Item(BaseModel):
    """An image of the catalogue. Its picture is at ``/api/v1/items/{id}/picture``."""

    id: int
    category: str
    category_id: int
    task: str
    task_id: int
    role: str = Field(description="gallery: it is searched; query: it was held out to measure with")
    name: str = Field(description="name of its file, without its folder")


class Neighbour(Item):
    """An item that is near a query."""

    rank: int
    similarity: float = Field(description="cosine; larger is closer")


class NearestClass(BaseModel):
    """A class near a query, by what is kept of it: its mean feature."""

    category: str
    similarity: float = Field(description="cosine of the query and the embedding of the class's mean feature")
    images: int = Field(description="images that the mean is of")
    moves: int = Field(description="drift maps that have carried it since it was measured")


class SearchResult(BaseModel):
    """The neighbours of one query, best first, and what is to be thought of them."""

    schema_version: int = SCHEMA_VERSION
    generation: int
    match: bool | None = Field(description="whether the nearest reaches the threshold; null: not judged")
    threshold: float | None = Field(description="cosine that it takes in the nearest item's category")
    confidence: float | None = Field(
        description="how likely the nearest item's category is right, given that the gallery holds it"
    )
    no_threshold: str | None = Field(description="why there is no threshold, where one was wanted")
    neighbours: list[Neighbour]
    classes: list[NearestClass]


class Explanation(BaseModel):
    """Which regions of two images make them similar.

    A map holds, row by row, how much of their cosine is lost when that region of the image is covered: above
    0 where it makes the two similar, below 0 where it sets them apart.
    """

    schema_version: int = SCHEMA_VERSION
    generation: int
    similarity: float
    query_map: list[list[float]] | None = Field(description="null: the image of the query is gone")
    item_map: list[list[float]] | None = Field(description="null: the file of the item is gone")
    classes: list[NearestClass]


class Task(BaseModel):
    """A task that was learned, or images that were added without learning."""

    id: int
    name: str
    kind: str = Field(description="learned or added")
    categories: int
    gallery_images: int
    query_images: int
    left_out: int = Field(description="files that were left out")


class Tasks(BaseModel):
    """All tasks and additions of the generation that answers, in order."""

    schema_version: int = SCHEMA_VERSION
    generation: int
    tasks: list[Task]


class Category(BaseModel):
    """A category, and how many images it has, of one task or of all."""

    id: int
    name: str
    gallery_images: int
    query_images: int


class Categories(BaseModel):
    """Categories by name."""

    schema_version: int = SCHEMA_VERSION
    generation: int
    categories: list[Category]


class Items(BaseModel):
    """One page of items, by id; ``next`` is what ``after`` has to be for the next one, null at the end."""

    schema_version: int = SCHEMA_VERSION
    generation: int
    items: list[Item]
    next: int | None


class Status(BaseModel):
    """What the server serves."""

    schema_version: int = SCHEMA_VERSION
    generation: int
    published: str
    problem: str | None = Field(description="why a newer generation does not answer")
    categories: int
    gallery_images: int
    embedding_length: int
    most_bytes: int = Field(description="largest image that may be sent")
    version: str


class GenerationSummary(BaseModel):
    """A published generation."""

    id: int
    parent: int | None
    state: str = Field(description="live, earlier, undone, or refused by its quality gate")
    task: str
    published: str
    images: int
    recall_at_1: float | None
    tags: list[str]
    kept: bool = Field(description="whether its files, and so its report, are still there")


class Generations(BaseModel):
    """All published generations, newest first."""

    schema_version: int = SCHEMA_VERSION
    generations: list[GenerationSummary]


class Health(BaseModel):
    """``status``: ok, or degraded where a newer generation cannot answer, which ``problem`` tells."""

    status: str
    generation: int
    problem: str | None = None


def item_document(item: CatalogItem) -> Item:
    """Return an item as the API shows it."""
    return Item(
        id=item.item_id,
        category=item.category,
        category_id=item.category_id,
        task=item.task,
        task_id=item.task_id,
        role=item.role.value,
        name=PurePath(item.path).name,
    )


def search_document(found: Found) -> SearchResult:
    """Return what was found for one query."""
    answer = found.answer
    ((_, hits),) = answer.queries
    verdict = answer.verdicts[0] if answer.verdicts else None
    return SearchResult(
        generation=answer.generation,
        match=None if verdict is None else verdict.match,
        threshold=None if verdict is None else verdict.threshold,
        confidence=None if verdict is None else verdict.confidence,
        no_threshold=answer.no_threshold,
        neighbours=[
            Neighbour(**dict(item_document(hit.item)), rank=rank, similarity=hit.similarity)
            for rank, hit in enumerate(hits, 1)
        ],
        classes=nearest_classes(found.asked, found.vector),
    )


def nearest_classes(asked: LoadedGeneration, vector: NDArray[np.float32]) -> list[NearestClass]:
    """Return the classes that a unit vector (D,) is nearest to in the generation that was asked."""
    return [
        NearestClass(
            category=asked.category_names.get(one.category_id, str(one.category_id)),
            similarity=one.similarity,
            images=one.images,
            moves=one.moves,
        )
        for one in asked.prototypes.nearest(vector, CLASSES_SHOWN)
    ]


def task_documents(tasks: Sequence[TaskSummary], additions: Sequence[TaskSummary]) -> list[Task]:
    """Return tasks and additions in the order in which they came."""
    both = [(task, "learned") for task in tasks] + [(addition, "added") for addition in additions]
    return [
        Task(
            id=task.task_id,
            name=task.name,
            kind=kind,
            categories=task.categories,
            gallery_images=task.train_images,
            query_images=task.query_images,
            left_out=len(task.quarantined),
        )
        for task, kind in sorted(both, key=lambda one: one[0].task_id)
    ]
