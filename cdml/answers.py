"""What a query gets for an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.searching import Answer as Found


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One image of the gallery that is near the query.

    Attributes:
        item_id: its number, which :meth:`Workspace.delete` and filters take.
        similarity: cosine to the query, -1 to 1; larger is closer.
        category: its category.
        task: the task or addition that it came with.
        path: its file as it was when it was read; it need not exist any more.
    """

    item_id: int
    similarity: float
    category: str
    task: str
    path: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The neighbours of one query, best first, and what is to be thought of them.

    Attributes:
        neighbours: the nearest gallery images, as many as were asked for, or all there are.
        match: whether the nearest is near enough to be of the query's category; None where nothing was
            judged, because the caller did not want it or there is no threshold (``no_threshold`` says why).
        threshold: the similarity that a match takes in the nearest one's category, None where not judged.
        confidence: how likely the nearest one's category is the query's, given that it is one of the
            gallery's; None where not known.
        generation: number of the generation that answered.
        no_threshold: why the generation has no threshold, None where it has one or none was wanted.
    """

    neighbours: tuple[Neighbour, ...]
    match: bool | None
    threshold: float | None
    confidence: float | None
    generation: int
    no_threshold: str | None = None

    @property
    def category(self) -> str | None:
        """Category of the nearest neighbour; None where there is no match, or no neighbour."""
        return None if self.match is False or not self.neighbours else self.neighbours[0].category

    def __bool__(self) -> bool:
        """Say whether there is an answer: a neighbour, and no verdict against it."""
        return self.category is not None


def answers(found: Found) -> list[Answer]:
    """Return each query's answer of what the command line's search found."""
    from continual_dml.strategies.acceptance import NOT_JUDGED

    verdicts = found.verdicts or (NOT_JUDGED,) * len(found.queries)
    return [
        Answer(
            tuple(
                Neighbour(hit.item.item_id, hit.similarity, hit.item.category, hit.item.task, hit.item.path)
                for hit in hits
            ),
            verdict.match,
            verdict.threshold,
            verdict.confidence,
            found.generation,
            found.no_threshold,
        )
        for (_, hits), verdict in zip(found.queries, verdicts, strict=True)
    ]
